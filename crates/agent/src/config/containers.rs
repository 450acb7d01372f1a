//! Where container runtimes are asked: what `falco.yaml` says to its container plugin.

use serde_json::Value;

use super::node::{Content, Node};

/// The settings in the `init_config` of the plugin named `container`; the defaults where there is none.
pub(super) fn containers(root: &Node) -> Result<lanner_container::Config, lanner_container::InitConfigError> {
    let plugins = root.get("plugins").map(Node::items).unwrap_or_default();
    let is_ours = |plugin: &&Node| plugin.get("name").and_then(Node::as_str) == Some("container");
    let init_config = plugins.iter().find(is_ours).and_then(|plugin| plugin.get("init_config"));
    // It may be written as YAML, or as the JSON text that a plugin gets.
    let text = match init_config {
        None => String::new(),
        Some(node) => node.as_str().map_or_else(|| json(node).to_string(), str::to_owned),
    };
    lanner_container::Config::from_init_config(&text)
}

pub(super) fn json(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Scalar(text) => scalar(text),
        Content::List(items) => items.iter().map(json).collect(),
        Content::Map(pairs) => pairs.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
    }
}

fn scalar(text: &str) -> Value {
    match super::node::truth(text) {
        Some(flag) => flag.into(),
        None => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> lanner_container::Config {
        containers(&Node::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn sockets_come_from_the_container_plugin() {
        let yaml = "plugins:\n- name: json\n  init_config: {engines: 1}\n- name: container\n  init_config:\n    \
                    label_max_len: 7\n    engines: {cri: {enabled: true, sockets: [/x.sock]}}\n";
        let config = read(yaml);
        assert_eq!(config.cri_sockets, [std::path::PathBuf::from("/x.sock")]);
        assert_eq!(config.label_max_len, 7);
        let text = "plugins: [{name: container, init_config: '{\"label_max_len\": 8}'}]";
        assert_eq!(read(text).label_max_len, 8);
        assert_eq!(read("rules_files: []").label_max_len, 100);
    }

    #[test]
    fn nonsense_is_told() {
        let node = Node::parse("plugins: [{name: container, init_config: {engines: 3}}]").unwrap();
        assert!(containers(&node).unwrap_err().to_string().contains("init_config of the container plugin"));
    }
}
