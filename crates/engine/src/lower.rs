//! From operands as they are written to terms over fields.

use lanner_fields::{FieldError, Term, TermError, Vocabulary};
use lanner_filter::{Argument, Operand};
use lanner_rules::Problem;

/// Resolves the fields of an operand.
pub(crate) fn lower(vocabulary: Vocabulary<'_>, operand: &Operand) -> Result<Term, Problem> {
    let at = |problem: Problem| Problem { span: Some(operand.span()), ..problem };
    match operand {
        Operand::Field(field) => {
            let argument = field.argument.as_deref();
            let written = || field.to_string();
            Term::field(vocabulary, &field.name, argument)
                .map_err(|error| at(field_problem(&written(), &error)))
        }
        Operand::Transform(transform) => {
            let arguments = transform.arguments.iter().map(|argument| lower_argument(vocabulary, argument));
            let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
            let name = transform.function.as_str();
            let term = Term::apply(name, arguments, transform.index.as_deref());
            term.map_err(|error| at(term_problem(&operand.to_string(), &error)))
        }
    }
}

fn lower_argument(vocabulary: Vocabulary<'_>, argument: &Argument) -> Result<Term, Problem> {
    match argument {
        Argument::Operand(operand) => lower(vocabulary, operand),
        Argument::Value(value) => Ok(Term::Text(value.text().into())),
        Argument::List(items) => {
            let items = items.iter().map(|item| lower_argument(vocabulary, item));
            Ok(Term::List(items.collect::<Result<Vec<_>, _>>()?.into()))
        }
    }
}

/// An unknown field in Falco's words, and the field table's own as advice.
pub(crate) fn field_problem(written: &str, error: &FieldError) -> Problem {
    if error.is_unknown() {
        let message = format!("filter_check called with nonexistent field {written}");
        return Problem { message, advice: Some(error.to_string()), unknown: true, span: None };
    }
    Problem { message: error.to_string(), ..Problem::default() }
}

fn term_problem(written: &str, error: &TermError) -> Problem {
    match error {
        TermError::Field(error) => field_problem(written, error),
        other => Problem { message: other.to_string(), ..Problem::default() },
    }
}
