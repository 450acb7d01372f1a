//! What `falco.yaml` says of its plugins.

use lanner_plugin::Settings;

use super::containers::json;
use super::node::Node;

/// The plugins of the list `plugins`. Settings may be written as a text or, if the plugin takes JSON, as YAML.
pub(super) fn plugins(root: &Node) -> Vec<Settings> {
    let items = root.at("plugins").map(Node::items).unwrap_or_default();
    let text = |plugin: &Node, key: &str| match plugin.get(key) {
        None => String::new(),
        Some(node) => node.as_str().map_or_else(|| as_json(node), str::to_owned),
    };
    let named = items.iter().filter_map(|plugin| Some((plugin, plugin.get("name")?.as_str()?.to_owned())));
    let settings = named.map(|(plugin, name)| Settings {
        name,
        library: text(plugin, "library_path"),
        init_config: text(plugin, "init_config"),
        open_params: text(plugin, "open_params"),
    });
    settings.collect()
}

fn as_json(node: &Node) -> String {
    match json(node) {
        serde_json::Value::Null => String::new(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_texts_or_yaml() {
        let yaml = "plugins:\n- name: k8saudit\n  library_path: libk8saudit.so\n  init_config: {maxEventSize: 5}\n  \
                    open_params: \"http://:9765/k8s-audit\"\n- name: json\n  init_config:\n- library_path: x\n";
        let plugins = plugins(&Node::parse(yaml).unwrap());
        assert_eq!((plugins.len(), plugins[0].init_config.as_str()), (2, r#"{"maxEventSize":5}"#));
        assert_eq!(plugins[0].open_params, "http://:9765/k8s-audit");
        assert_eq!(plugins[1], Settings { name: "json".into(), ..Settings::default() });
    }
}
