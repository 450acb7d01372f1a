//! `--enable`, `--disable` and `--tag`: which rules are on, in the order of the command line.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use lanner_rules::{RuleSet, Selection, Target, closest};

const OPTIONS: [(&str, &str, &str); 3] = [
    ("enable", "RULE", "Turn a rule on: its name, in which * is any text, or tag:TAG (may be repeated)"),
    ("disable", "RULE", "Turn a rule off, named likewise; the last of both that fits a rule counts"),
    ("tag", "TAG", "Only rules that have the tag (may be repeated)"),
];

/// The steps that the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct SelectArgs {
    steps: Vec<Selection>,
}

impl SelectArgs {
    /// The steps in order: `--tag` first turns everything else off.
    pub fn steps(&self) -> &[Selection] {
        &self.steps
    }

    /// Says the first step that fits none of these rules.
    ///
    /// # Errors
    /// With what to write instead, if a name is like it.
    pub fn fits(&self, rules: &RuleSet) -> Result<(), String> {
        let Some(step) = self.steps.iter().find(|step| !step.fits_any(rules)) else { return Ok(()) };
        let (what, near) = match &step.target {
            Target::Name(name) => (
                format!("no rule is called '{name}'"),
                closest(name, rules.rules.iter().map(|rule| rule.name.as_str())),
            ),
            Target::Tag(tag) => (
                format!("no rule has the tag '{tag}'"),
                closest(tag, rules.rules.iter().flat_map(|rule| rule.tags.iter().map(String::as_str))),
            ),
        };
        let hint = near.map_or_else(|| "`lanner rules list` names them".to_owned(), did_you_mean);
        Err(format!("lanner: {what}; {hint}"))
    }
}

/// A proposal in the words of all our messages.
pub fn did_you_mean(name: &str) -> String {
    format!("did you mean '{name}'?")
}

fn target(text: &str) -> Target {
    match text.strip_prefix("tag:") {
        Some(tag) => Target::Tag(tag.to_owned()),
        None => Target::Name(text.to_owned()),
    }
}

// Written out because clap's derive keeps no order between options.
impl FromArgMatches for SelectArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SelectArgs, Error> {
        let mut given: Vec<(usize, &str, &String)> = Vec::new();
        for (option, ..) in OPTIONS {
            let places = matches.indices_of(option).into_iter().flatten();
            let values = matches.get_many::<String>(option).into_iter().flatten();
            given.extend(places.zip(values).map(|(place, value)| (place, option, value)));
        }
        given.sort_unstable();
        let mut steps = Vec::new();
        if given.iter().any(|(_, option, _)| *option == "tag") {
            steps.push(Selection { enable: false, target: Target::Name("*".to_owned()) });
        }
        for (_, option, value) in given {
            if value.is_empty() {
                return Err(Error::raw(ErrorKind::InvalidValue, format!("--{option} needs a name\n")));
            }
            let target = if option == "tag" { Target::Tag(value.clone()) } else { target(value) };
            steps.push(Selection { enable: option != "disable", target });
        }
        Ok(SelectArgs { steps })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.steps.extend(SelectArgs::from_arg_matches(matches)?.steps);
        Ok(())
    }
}

impl Args for SelectArgs {
    fn augment_args(command: Command) -> Command {
        OPTIONS.iter().fold(command, |command, (option, value, help)| {
            let arg = Arg::new(*option).long(*option).value_name(*value).help(*help);
            command.arg(arg.action(ArgAction::Append))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(args: &[&str]) -> Result<Vec<(bool, Target)>, Error> {
        let command = SelectArgs::augment_args(Command::new("x").no_binary_name(true));
        let parsed = SelectArgs::from_arg_matches(&command.try_get_matches_from(args)?)?;
        Ok(parsed.steps.into_iter().map(|step| (step.enable, step.target)).collect())
    }

    #[test]
    fn steps_keep_the_order_of_the_command_line() {
        let name = |text: &str| Target::Name(text.to_owned());
        let tag = |text: &str| Target::Tag(text.to_owned());
        let given = ["--disable", "*", "--enable", "tag:host", "--disable", "A b"];
        assert_eq!(steps(&given).unwrap(), [(false, name("*")), (true, tag("host")), (false, name("A b"))]);
        assert_eq!(
            steps(&["--enable", "x", "--tag", "t"]).unwrap(),
            [(false, name("*")), (true, name("x")), (true, tag("t"))]
        );
        assert!(steps(&[]).unwrap().is_empty() && steps(&["--enable", ""]).is_err());
    }
}
