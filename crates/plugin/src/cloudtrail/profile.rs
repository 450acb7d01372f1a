//! The files in which AWS tools keep keys: sections in brackets, `name = value` in them.

use std::path::{Path, PathBuf};

/// What a profile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub key_id: Option<String>,
    pub secret_key: Option<String>,
    pub token: Option<String>,
    pub region: Option<String>,
}

/// Where the files are: as given, as the environment says, or below the home directory.
fn place(given: &str, variable: &str, name: &str) -> Option<PathBuf> {
    if !given.is_empty() {
        return Some(given.into());
    }
    let said = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    said.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".aws").join(name)))
}

impl Profile {
    /// Reads a profile out of the files for credentials and for settings; what isn't there is left open.
    pub(super) fn load(name: &str, credentials: &str, config: &str) -> Profile {
        let text = |place: Option<PathBuf>| {
            place.and_then(|path: PathBuf| std::fs::read_to_string(Path::new(&path)).ok()).unwrap_or_default()
        };
        let credentials = text(place(credentials, "AWS_SHARED_CREDENTIALS_FILE", "credentials"));
        let config = text(place(config, "AWS_CONFIG_FILE", "config"));
        let mut profile = Profile::default();
        profile.take(&credentials, name);
        profile.take(&config, &format!("profile {name}"));
        profile.take(&config, name);
        profile
    }

    /// Takes what a section says and isn't known yet.
    fn take(&mut self, text: &str, section: &str) {
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                inside = name.trim() == section;
            } else if let Some((key, value)) =
                line.split_once('=').filter(|_| inside && !line.starts_with('#'))
            {
                let slot = match key.trim() {
                    "aws_access_key_id" => &mut self.key_id,
                    "aws_secret_access_key" => &mut self.secret_key,
                    "aws_session_token" => &mut self.token,
                    "region" => &mut self.region,
                    _ => continue,
                };
                slot.get_or_insert_with(|| value.trim().to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_one_file_and_the_region_from_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let (keys, config) = (dir.path().join("k"), dir.path().join("c"));
        std::fs::write(
            &keys,
            "[default]\naws_access_key_id=A\n[x]\naws_access_key_id = B\n# c = d\naws_secret_access_key=S\n",
        )
        .unwrap();
        std::fs::write(&config, "[profile x]\nregion = eu-west-1\n[y]\nregion=no\n").unwrap();
        let load = |name: &str| Profile::load(name, keys.to_str().unwrap(), config.to_str().unwrap());
        let text = |text: &str| Some(text.to_owned());
        let x = Profile { key_id: text("B"), secret_key: text("S"), token: None, region: text("eu-west-1") };
        assert_eq!(load("x"), x);
        assert_eq!(load("default").key_id, text("A"));
        assert_eq!(load("z"), Profile::default());
    }
}
