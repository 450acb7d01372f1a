//! Kubeconfigs (kubernetes.io/docs/reference/config-api/kubeconfig.v1). Where two keys say the same, the one wins
//! that wins for kubectl: data over files, a token's file over a token. What can't be done as it says is refused:
//! whoever is left out of it would be another user.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde::Deserialize;
use serde_json::Value;

use super::credentials::read as read_file;
use super::credentials::{Access, AccessError, Client, Pem, Trust};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct Kubeconfig {
    current_context: Option<String>,
    clusters: Option<Vec<Named>>,
    users: Option<Vec<Named>>,
    contexts: Option<Vec<Named>>,
}

/// One of a list; only that which is used is read further.
#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(alias = "cluster", alias = "user", alias = "context")]
    body: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
    namespace: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: String,
    tls_server_name: String,
    insecure_skip_tls_verify: bool,
    certificate_authority: String,
    certificate_authority_data: String,
    proxy_url: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    client_certificate: String,
    client_certificate_data: String,
    client_key: String,
    client_key_data: String,
    token: String,
    #[serde(rename = "tokenFile")]
    token_file: String,
    username: String,
    exec: Option<Value>,
    auth_provider: Option<Value>,
    #[serde(rename = "as")]
    impersonated: String,
}

/// What the file says of a context; of its current one if none is named.
pub(super) fn read(file: &Path, context: &str) -> Result<Access, AccessError> {
    let text =
        String::from_utf8(read_file(file)?).map_err(|error| AccessError::unfit(file.display(), error))?;
    let origin = Origin(file);
    let document = Yaml::load_from_str(&text).map_err(|error| origin.unfit(error))?;
    let document = document.first().map_or(Value::Null, value);
    if !document.is_object() {
        return Err(origin.unfit("this is no kubeconfig"));
    }
    let all: Kubeconfig = serde_json::from_value(document).map_err(|error| origin.unfit(error))?;
    let current = match context {
        "" => all.current_context.unwrap_or_default(),
        named => named.to_owned(),
    };
    if current.is_empty() {
        return Err(origin.unfit("it has no current-context; name one with `context`"));
    }
    let context: Context = origin.named("context", all.contexts, &current)?;
    let cluster: Cluster = origin.named("cluster", all.clusters, &context.cluster)?;
    let user = match context.user.as_str() {
        "" => User::default(),
        name => origin.named("user", all.users, name)?,
    };
    let client = origin.client(&user, &context.user)?;
    Ok(Access {
        trust: origin.trust(&cluster, &context.cluster)?,
        server: cluster.server,
        server_name: cluster.tls_server_name,
        client,
        token: user.token,
        token_file: origin.beside(&user.token_file),
        namespace: context.namespace,
    })
}

/// The file, by whose place relative paths go and after which errors are named.
struct Origin<'a>(&'a Path);

impl Origin<'_> {
    fn unfit(&self, why: impl ToString) -> AccessError {
        AccessError::unfit(self.0.display(), why)
    }

    fn beside(&self, path: &str) -> Option<PathBuf> {
        (!path.is_empty()).then(|| self.0.parent().unwrap_or(Path::new("")).join(path))
    }

    fn named<T: for<'de> Deserialize<'de>>(
        &self,
        kind: &str,
        list: Option<Vec<Named>>,
        name: &str,
    ) -> Result<T, AccessError> {
        let found = list.unwrap_or_default().into_iter().find(|named| named.name == name);
        let body = found.and_then(|named| named.body);
        let body = body.ok_or_else(|| self.unfit(format!("it has no {kind} `{name}`")))?;
        // Keys that are there without a value count as absent.
        let body = match body {
            Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            other => other,
        };
        serde_json::from_value(body).map_err(|error| self.unfit(format!("{kind} `{name}`: {error}")))
    }

    /// The text of a key with data, or else of the file that another key names.
    fn pem(&self, of: &str, key: &str, data: &str, file: &str) -> Result<Option<Pem>, AccessError> {
        if data.is_empty() {
            return self.beside(file).map(|file| Pem::read(&file)).transpose();
        }
        let packed: String = data.split_ascii_whitespace().collect();
        let text = BASE64_STANDARD.decode(packed);
        let text = text.map_err(|error| self.unfit(format!("{of}: {key}: {error}")))?;
        Ok(Some(Pem { of: format!("{}: {of}: {key}", self.0.display()), text }))
    }

    fn trust(&self, cluster: &Cluster, name: &str) -> Result<Trust, AccessError> {
        let of = format!("cluster `{name}`");
        if cluster.server.is_empty() {
            return Err(self.unfit(format!("{of} has no server")));
        }
        if !cluster.proxy_url.is_empty() {
            return Err(self.unfit(format!("{of}: proxy-url: no proxy is spoken to")));
        }
        let (data, file) = (&cluster.certificate_authority_data, &cluster.certificate_authority);
        let authorities = self.pem(&of, "certificate-authority-data", data, file)?;
        match (authorities, cluster.insecure_skip_tls_verify) {
            (Some(_), true) => Err(self.unfit(format!(
                "{of}: insecure-skip-tls-verify and a certificate authority exclude each other"
            ))),
            (Some(authorities), false) => Ok(Trust::Authorities(authorities)),
            (None, true) => Ok(Trust::Anyone),
            (None, false) => Ok(Trust::System),
        }
    }

    fn client(&self, user: &User, name: &str) -> Result<Option<Client>, AccessError> {
        let of = format!("user `{name}`");
        let refused = |why: &str| Err(self.unfit(format!("{of}: {why}")));
        if user.exec.is_some() {
            return refused(
                "exec: no program is run for a token; give a token, a tokenFile or a client certificate",
            );
        }
        if user.auth_provider.is_some() {
            return refused(
                "auth-provider: kubectl has given these up; give a token, a tokenFile or a client certificate",
            );
        }
        if !user.username.is_empty() {
            return refused("username: API servers take no passwords since Kubernetes 1.19");
        }
        if !user.impersonated.is_empty() {
            return refused("as: lanner asks in no other user's name");
        }
        let certificate = self.pem(
            &of,
            "client-certificate-data",
            &user.client_certificate_data,
            &user.client_certificate,
        )?;
        let key = self.pem(&of, "client-key-data", &user.client_key_data, &user.client_key)?;
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Client { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => refused("a client-certificate without its client-key"),
            (None, Some(_)) => refused("a client-key without its client-certificate"),
        }
    }
}

/// The same as JSON, which kubeconfigs may be written in too.
fn value(node: &Yaml) -> Value {
    match node {
        Yaml::Value(Scalar::Boolean(flag)) => Value::from(*flag),
        Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Value::from(number.into_inner()),
        Yaml::Value(Scalar::String(text)) | Yaml::Representation(text, ..) => Value::from(&**text),
        Yaml::Sequence(items) => items.iter().map(value).collect(),
        Yaml::Mapping(pairs) => {
            pairs.iter().filter_map(|(key, item)| Some((key.as_str()?.to_owned(), value(item)))).collect()
        }
        Yaml::Tagged(_, inner) => value(inner),
        Yaml::Value(Scalar::Null) | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a kubeconfig of one cluster, user and context.
    fn reading(cluster: &str, user: &str) -> Result<Access, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), "CA").unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {cluster}\nusers:\n- name: u\n  user: {user}\n\
             contexts:\n- name: other\n  context: {{cluster: x}}\n- name: here\n  context: {{cluster: c, user: u, namespace: shop}}\n\
             current-context: here\npreferences: {{}}\n"
        );
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        let place = format!("{}/", folder.path().display());
        let said = |error: AccessError| error.to_string().replace(&place, "");
        let mut access = read(&file, "").map_err(said)?;
        access.token_file = access.token_file.map(|file| file.strip_prefix(&place).unwrap().to_owned());
        Ok(access)
    }

    const SERVER: &str = "server: 'https://10.0.0.1:6443'";

    #[test]
    fn what_it_says_of_the_context_is_taken() {
        let access = reading(
            &format!(
                "{{{SERVER}, certificate-authority: ca.pem, tls-server-name: kubernetes, extensions: null}}"
            ),
            "{client-certificate-data: 'QU\n  I=', client-key-data: 'Qw==', token: secret, tokenFile: token}",
        )
        .unwrap();
        assert_eq!(
            (access.server.as_str(), access.server_name.as_str()),
            ("https://10.0.0.1:6443", "kubernetes")
        );
        assert_eq!((access.token.as_str(), access.namespace.as_str()), ("secret", "shop"));
        assert_eq!(access.token_file, Some(PathBuf::from("token")));
        let Trust::Authorities(authorities) = access.trust else { panic!("{:?}", access.trust) };
        let client = access.client.unwrap();
        assert_eq!(
            [authorities.text, client.certificate.text, client.key.text],
            ["CA", "AB", "C"].map(Vec::from)
        );
    }

    #[test]
    fn data_wins_over_a_file() {
        let cluster =
            format!("{{{SERVER}, certificate-authority: /nowhere, certificate-authority-data: Qw==}}");
        let Trust::Authorities(authorities) = reading(&cluster, "{}").unwrap().trust else { panic!() };
        assert_eq!(authorities.text, b"C");
    }

    #[test]
    fn without_an_authority_the_systems_are_trusted_or_anyone() {
        let trust = |more: &str| reading(&format!("{{{SERVER}{more}}}"), "{}").unwrap().trust;
        assert!(matches!(trust(""), Trust::System));
        assert!(matches!(trust(", insecure-skip-tls-verify: true"), Trust::Anyone));
    }

    #[test]
    fn what_cannot_be_done_as_it_says_is_refused() {
        let plain = format!("{{{SERVER}}}");
        let of_user = |user: &str| reading(&plain, user).unwrap_err();
        let of_cluster = |more: &str| reading(&format!("{{{more}}}"), "{}").unwrap_err();
        let said = [
            of_user("{exec: {command: aws, args: [eks, get-token], apiVersion: v1}}"),
            of_user("{auth-provider: {name: gcp}}"),
            of_user("{username: admin, password: x}"),
            of_user("{as: admin}"),
            of_user("{client-certificate-data: QUI=}"),
            of_user("{client-key-data: QUI=}"),
            of_user("{client-key-data: '?'}"),
            of_user("{client-certificate: gone.pem}"),
            of_user("7"),
            of_cluster("certificate-authority-data: Qw=="),
            of_cluster(&format!("{SERVER}, insecure-skip-tls-verify: true, certificate-authority: ca.pem")),
            of_cluster(&format!("{SERVER}, proxy-url: 'http://p'")),
            of_cluster(&format!("{SERVER}, insecure-skip-tls-verify: perhaps")),
        ];
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn another_context_may_be_named_and_has_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let said = |text: &str, context: &str| {
            std::fs::write(&file, text).unwrap();
            let place = format!("{}/", folder.path().display());
            read(&file, context)
                .map(|access| access.server)
                .map_err(|error| error.to_string().replace(&place, ""))
        };
        // As JSON, and with lists that are null, as `kubectl config view -o json` of an empty one writes them.
        let json = r#"{"clusters":[{"name":"c","cluster":{"server":"http://localhost:8001"}}],"users":null,
            "contexts":[{"name":"a","context":{"cluster":"c","user":""}},{"name":"b","context":{"cluster":"d","user":""}}]}"#;
        assert_eq!(said(json, "a"), Ok("http://localhost:8001".into()));
        let errors = [
            said(json, "").unwrap_err(),
            said(json, "b").unwrap_err(),
            said(json, "z").unwrap_err(),
            said("clusters: null\ncurrent-context: x", "").unwrap_err(),
            said("", "").unwrap_err(),
            said("a: [", "").unwrap_err(),
            said("clusters: 7", "").unwrap_err(),
        ];
        insta::assert_snapshot!(errors.join("\n"));
    }
}
