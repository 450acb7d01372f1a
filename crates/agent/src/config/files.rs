//! The tree of settings, put together from the main file, the files that it names, and the command line.

use std::path::{Path, PathBuf};

use super::keys;
use super::node::{Content, Node, YamlError};
use super::path::PathError;
use super::variables;

/// The key that names further files.
const INCLUDES: &str = "config_files";

/// Why settings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("Cannot read config file ({}): {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file is no YAML.
    #[error("Cannot read config file ({}): {cause}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        cause: YamlError,
    },
    /// A key on the command line is malformed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An assignment on the command line has no `=`.
    #[error("Error parsing config option \"{0}\". Must be of the form key=val or key.subkey=val")]
    Option(String),
    /// A value is not one of those that its key allows.
    #[error("{0}")]
    Value(String),
}

/// How an included file is merged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// Lists grow, everything else is replaced.
    Append,
    /// Everything is replaced.
    Override,
    /// Only what is absent is added.
    AddOnly,
}

/// A file that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingsFile {
    /// The file.
    pub path: PathBuf,
    /// What the schema says of it: `ok`, or its first deviation in Falco's words.
    pub schema: String,
}

/// Settings as a tree, with the files they came from.
#[derive(Debug, Default)]
pub struct Settings {
    /// The merged tree.
    pub root: Node,
    /// The files that were read, in order.
    pub files: Vec<SettingsFile>,
    /// The directories whose files were read, and what was named and isn't there.
    pub folders: Vec<PathBuf>,
    /// The main file.
    pub main: PathBuf,
}

impl SettingsFile {
    fn of(path: &Path, root: &Node) -> SettingsFile {
        SettingsFile { path: path.to_owned(), schema: keys::status(root) }
    }
}

impl Settings {
    /// Reads the main file (if there is one) and those that it names, then applies `key=value` assignments.
    ///
    /// # Errors
    /// When a file cannot be read or is malformed, or an assignment is.
    pub fn load(main: Option<&Path>, assignments: &[String]) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        if let Some(path) = main {
            settings.root = read(path)?;
            settings.main = path.to_owned();
            settings.files.push(SettingsFile::of(path, &settings.root));
        }
        for assignment in assignments.iter().filter(|a| a.starts_with(INCLUDES)) {
            settings.assign(assignment)?;
        }
        settings.include()?;
        for assignment in assignments {
            settings.assign(assignment)?;
        }
        Ok(settings)
    }

    fn assign(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let (key, text) =
            assignment.split_once('=').ok_or_else(|| ConfigError::Option(assignment.to_owned()))?;
        let value = if text.starts_with('{') && text.ends_with('}') {
            let yaml = Node::parse(text);
            yaml.map_err(|cause| ConfigError::Yaml { path: format!("-o {key}").into(), cause })?
        } else {
            Node::scalar(text)
        };
        Ok(self.root.set(key, value)?)
    }

    fn include(&mut self) -> Result<(), ConfigError> {
        let Some(includes) = self.root.get(INCLUDES).cloned() else { return Ok(()) };
        for (n, include) in includes.items().iter().enumerate() {
            let (path, strategy) = match (include.as_str(), include.get("path").and_then(Node::as_str)) {
                (Some(path), _) => (path, Strategy::Append),
                (None, Some(path)) => (path, strategy(include.get("strategy").and_then(Node::as_str))),
                (None, None) => return Err(self.no_path(n, include)),
            };
            let path = Path::new(path);
            if path == self.main {
                return Err(ConfigError::Value(format!(
                    "Config error: '{INCLUDES}' directive tried to recursively include main config file: {}.",
                    path.display()
                )));
            }
            if !path.is_file() {
                self.folders.push(path.to_owned());
            }
            for file in files_at(path) {
                self.merge(&file, strategy)?;
            }
        }
        Ok(())
    }

    /// The error of an item that says no path.
    fn no_path(&self, n: usize, include: &Node) -> ConfigError {
        let (node, what) = match include.get("path") {
            Some(path) => (path, ".path must be a text"),
            None => (include, " must be a path, or a block with one"),
        };
        let (main, line, column) = (self.main.display(), node.place.line, node.place.column);
        ConfigError::Value(format!(
            "Error reading config file ({main}): {main}, line {line}, column {column}: {INCLUDES}[{n}]{what}"
        ))
    }

    fn merge(&mut self, path: &Path, strategy: Strategy) -> Result<(), ConfigError> {
        let mut included = read(path)?;
        included.of_file(self.files.len());
        self.files.push(SettingsFile::of(path, &included));
        let Content::Map(pairs) = included.content else { return Ok(()) };
        for (key, value) in pairs {
            if key == INCLUDES {
                return Err(ConfigError::Value(format!(
                    "Config error: '{INCLUDES}' directive in included config file {}.",
                    path.display()
                )));
            }
            merge_key(&mut self.root, key, value, strategy);
        }
        Ok(())
    }
}

fn strategy(text: Option<&str>) -> Strategy {
    match text {
        Some("override") => Strategy::Override,
        Some("add-only") => Strategy::AddOnly,
        _ => Strategy::Append,
    }
}

fn merge_key(root: &mut Node, key: String, value: Node, strategy: Strategy) {
    if !matches!(root.content, Content::Map(_)) {
        root.content = Content::Map(Vec::new());
    }
    let Content::Map(pairs) = &mut root.content else { return };
    let Some((_, old)) = pairs.iter_mut().find(|(k, _)| *k == key) else {
        pairs.push((key, value));
        return;
    };
    match (strategy, &mut old.content, value.content) {
        (Strategy::AddOnly, ..) => {}
        (Strategy::Append, Content::List(items), Content::List(more)) => items.extend(more),
        (_, _, content) => *old = Node { content, place: value.place },
    }
}

/// The file, or the files of a directory in order; what does not exist is nothing.
fn files_at(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.is_file()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<Node, ConfigError> {
    let bytes = std::fs::read(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
    let text = String::from_utf8_lossy(&bytes);
    let parsed = Node::parse(&text);
    let mut node = parsed.map_err(|cause| ConfigError::Yaml { path: path.to_owned(), cause })?;
    node.each_scalar(&mut |text| {
        if text.contains('$') {
            *text = variables::expand(text, &|name| std::env::var(name).ok());
        }
    });
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)], assignments: &[&str]) -> Result<Settings, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text.replace("DIR", dir.path().to_str().unwrap())).unwrap();
        }
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        Settings::load(Some(&dir.path().join("main.yaml")), &assignments)
    }

    fn texts(settings: &Settings, path: &str) -> Vec<String> {
        let items = settings.root.at(path).unwrap().items();
        items.iter().filter_map(Node::as_str).map(str::to_owned).collect()
    }

    #[test]
    fn included_files_merge_as_their_strategy_says_and_the_command_line_wins() {
        let main = "config_files:\n  - DIR/d\n  - {path: DIR/o.yaml, strategy: override}\n  - {path: DIR/a.yaml, strategy: add-only}\nl: [1]\nm: [1]\ns: main\n";
        let files = [
            ("main.yaml", main),
            ("d/2.yaml", "l: [3]\n"),
            ("d/1.yaml", "l: [2]\ns: d\n"),
            ("o.yaml", "m: [9]\n"),
            ("a.yaml", "s: ignored\nnew: 1\n"),
        ];
        let settings = load(&files, &["t=cli", "x={y: [1, 2]}"]).unwrap();
        assert_eq!(texts(&settings, "l"), ["1", "2", "3"]);
        assert_eq!(texts(&settings, "m"), ["9"]);
        assert_eq!(texts(&settings, "s"), ["d"]);
        assert_eq!(texts(&settings, "new"), ["1"]);
        assert_eq!(texts(&settings, "t"), ["cli"]);
        assert_eq!(texts(&settings, "x.y"), ["1", "2"]);
        assert_eq!((settings.files.len(), settings.folders.len()), (5, 1));
    }

    #[test]
    fn circles_of_files_are_refused() {
        let error = load(&[("main.yaml", "config_files: DIR/main.yaml")], &[]).unwrap_err().to_string();
        assert!(error.contains("tried to recursively include main config file"), "{error}");
        let files = [("main.yaml", "config_files: DIR/b.yaml"), ("b.yaml", "config_files: [x]")];
        assert!(load(&files, &[]).unwrap_err().to_string().contains("directive in included config file"));
    }

    #[test]
    fn a_broken_file_is_named_with_the_place() {
        let error = load(&[("main.yaml", "a: [1\n")], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("Cannot read config file (") && error.contains("main.yaml): line 2"),
            "{error}"
        );
        assert!(load(&[("main.yaml", "")], &["novalue"]).unwrap_err().to_string().contains("\"novalue\""));
    }
}
