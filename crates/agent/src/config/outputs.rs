//! The outputs that `falco.yaml` asks for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lanner_output::{HttpOptions, SocketOptions, Trust};

use super::reader::Reader;
use super::{ConfigError, FileConfig, ProgramConfig, SinkConfig};

/// How long a request to a web server may take. Falco's client has no limit of its own.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// What runs the command of a program output.
const SHELL: &str = "/bin/sh";

impl Reader<'_> {
    pub(super) fn sinks(&mut self) -> Result<SinkConfig, ConfigError> {
        Ok(SinkConfig {
            stdout: self.flag("stdout_output.enabled", false),
            syslog: self.flag("syslog_output.enabled", false),
            file: self.file()?,
            program: self.program()?,
            http: self.http()?,
            socket: self.socket()?,
        })
    }

    fn file(&mut self) -> Result<Option<FileConfig>, ConfigError> {
        if !self.flag("file_output.enabled", false) {
            return Ok(None);
        }
        let path = self.text("file_output.filename", "");
        if path.is_empty() {
            return Err(self.error("file output enabled but no filename in configuration block"));
        }
        let keep_alive = self.flag("file_output.keep_alive", false);
        Ok(Some(FileConfig { path: path.into(), keep_alive }))
    }

    fn program(&mut self) -> Result<Option<ProgramConfig>, ConfigError> {
        if !self.flag("program_output.enabled", false) {
            return Ok(None);
        }
        let command = self.text("program_output.program", "");
        if command.is_empty() {
            return Err(self.error("program output enabled but no program in configuration block"));
        }
        if !Path::new(SHELL).exists() {
            let why = format!(
                "program output enabled but there is no {SHELL} here to run it (a slim image has none)"
            );
            return Err(self.error(&why));
        }
        let keep_alive = self.flag("program_output.keep_alive", false);
        Ok(Some(ProgramConfig { command, keep_alive }))
    }

    /// lanner's own: a socket from which `lanner relay` reads.
    fn socket(&mut self) -> Result<Option<SocketOptions>, ConfigError> {
        if !self.flag("socket_output.enabled", false) {
            return Ok(None);
        }
        let mode = self.text("socket_output.mode", "0660");
        let group = self.text("socket_output.group", "");
        let number = |text: &str, radix| u32::from_str_radix(text, radix).ok();
        let Some(mode) = number(&mode, 8).filter(|mode| *mode <= 0o777) else {
            return Err(self.error("socket_output.mode is no permission such as \"0660\""));
        };
        let group = match group.as_str() {
            "" => None,
            text => Some(number(text, 10).ok_or_else(|| self.error("socket_output.group is no number"))?),
        };
        let path = self.text("socket_output.path", "/run/lanner/alerts.sock").into();
        Ok(Some(SocketOptions { path, mode, group }))
    }

    fn http(&mut self) -> Result<Option<HttpOptions>, ConfigError> {
        if !self.flag("http_output.enabled", false) {
            return Ok(None);
        }
        let url = self.text("http_output.url", "");
        if url.is_empty() {
            return Err(self.error("http output enabled but no url in configuration block"));
        }
        Ok(Some(HttpOptions {
            url,
            user_agent: self.text("http_output.user_agent", "falcosecurity/falco"),
            json: self.flag("json_output", false),
            trust: self.trust(),
            client: self.client(),
            echo: self.flag("http_output.echo", false),
            compress: self.flag("http_output.compress_uploads", false),
            keep_alive: self.flag("http_output.keep_alive", false),
            max_timeouts: self.number("http_output.max_consecutive_timeouts", 5),
            timeout: HTTP_TIMEOUT,
        }))
    }

    /// How a server is recognised: one certificate counts before a bundle, a bundle before a folder.
    fn trust(&mut self) -> Trust {
        if self.flag("http_output.insecure", false) {
            return Trust::Anyone;
        }
        for key in ["http_output.ca_cert", "http_output.ca_bundle"] {
            let path = self.text(key, "");
            if !path.is_empty() {
                return Trust::File { key, path: path.into() };
            }
        }
        Trust::Folder(self.text("http_output.ca_path", "/etc/ssl/certs").into())
    }

    fn client(&mut self) -> Option<(PathBuf, PathBuf)> {
        let certificate = self.text("http_output.client_cert", "/etc/ssl/certs/client.crt");
        let key = self.text("http_output.client_key", "/etc/ssl/certs/client.key");
        self.flag("http_output.mtls", false).then(|| (certificate.into(), key.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Node, Settings};
    use super::*;

    fn http(lines: &str) -> HttpOptions {
        let yaml = format!("http_output:\n  enabled: true\n  url: https://x/\n{lines}");
        let settings = Settings { root: Node::parse(&yaml).unwrap(), ..Settings::default() };
        Config::from_falco(&settings).unwrap().sinks.http.unwrap()
    }

    #[test]
    fn a_server_is_recognised_by_the_narrowest_setting() {
        assert_eq!(http("").trust, Trust::Folder("/etc/ssl/certs".into()));
        let bundle = "  ca_bundle: /b\n  ca_path: /p\n";
        assert_eq!(http(bundle).trust, Trust::File { key: "http_output.ca_bundle", path: "/b".into() });
        let all = format!("{bundle}  ca_cert: /c\n");
        assert_eq!(http(&all).trust, Trust::File { key: "http_output.ca_cert", path: "/c".into() });
        assert_eq!(http(&format!("{all}  insecure: true\n")).trust, Trust::Anyone);
    }

    #[test]
    fn a_socket_is_for_those_its_mode_lets_in() {
        let socket = |lines: &str| {
            let yaml = format!("socket_output:\n  enabled: true\n{lines}");
            let settings = Settings { root: Node::parse(&yaml).unwrap(), ..Settings::default() };
            Config::from_falco(&settings).map(|config| config.sinks.socket.unwrap())
        };
        let plain = socket("").unwrap();
        assert_eq!((plain.mode, plain.group), (0o660, None));
        assert_eq!(plain.path, PathBuf::from("/run/lanner/alerts.sock"));
        let open = socket("  mode: \"0666\"\n  group: \"65534\"\n").unwrap();
        assert_eq!((open.mode, open.group), (0o666, Some(65534)));
        assert!(socket("  mode: rw\n").is_err() && socket("  group: nobody\n").is_err());
    }

    #[test]
    fn a_client_shows_itself_only_if_asked() {
        assert_eq!(http("  client_cert: /c\n  client_key: /k\n").client, None);
        let shown = http("  client_cert: /c\n  client_key: /k\n  mtls: true\n").client;
        assert_eq!(shown, Some(("/c".into(), "/k".into())));
        assert_eq!(http("  max_consecutive_timeouts: 300\n").max_timeouts, 5, "more than it can be");
    }
}
