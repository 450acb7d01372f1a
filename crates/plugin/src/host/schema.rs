//! Whether settings are as a plugin's schema wants them. Of JSON schemas it knows the types of properties and which are
//! required, at every level; what it doesn't know it lets pass.

use serde_json::Value;

/// The settings to hand over: checked, and `{}` where there are none.
pub(super) fn checked(schema: Option<&str>, config: &str) -> Result<String, String> {
    let Some(schema) = schema else { return Ok(config.to_owned()) };
    let config = if config.trim().is_empty() { "{}" } else { config };
    let value: Value = serde_json::from_str(config).map_err(|error| format!("init_config: {error}"))?;
    // A schema that can't be read is the plugin's mistake; its own check is then the only one.
    if let Ok(schema) = serde_json::from_str::<Value>(schema) {
        check(resolve(&schema, &schema), &schema, &value, "init_config")?;
    }
    Ok(config.to_owned())
}

/// What a reference within the schema leads to.
fn resolve<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    let target = schema["$ref"].as_str().and_then(|target| root.pointer(target.strip_prefix('#')?));
    target.unwrap_or(schema)
}

fn check(schema: &Value, root: &Value, value: &Value, place: &str) -> Result<(), String> {
    let wanted = schema["type"].as_str().unwrap_or_default();
    let fits = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    };
    if !fits {
        return Err(format!("{place}: must be of type {wanted}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            return Err(format!("{place}: '{name}' is missing"));
        }
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            check(resolve(inner, root), root, value, &format!("{place}.{name}"))?;
        }
    }
    for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
        check(resolve(&schema["items"], root), root, item, &format!("{place}[{nth}]"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r##"{"$ref":"#/definitions/C","definitions":{"C":{"type":"object","required":["n"],
        "properties":{"n":{"type":"integer"},"l":{"type":"array","items":{"type":"string"}}}}}}"##;

    #[test]
    fn settings_are_held_against_the_schema() {
        let said = |config: &str| checked(Some(SCHEMA), config).unwrap_err();
        assert_eq!(
            checked(Some(SCHEMA), r#"{"n":1,"l":["a"],"x":0}"#).unwrap(),
            r#"{"n":1,"l":["a"],"x":0}"#
        );
        assert_eq!(said(""), "init_config: 'n' is missing");
        assert_eq!(said(r#"{"n":"1"}"#), "init_config.n: must be of type integer");
        assert_eq!(said(r#"{"n":1,"l":["a",2]}"#), "init_config.l[1]: must be of type string");
        assert!(said("[1").starts_with("init_config: "));
        assert_eq!(checked(None, "anything").unwrap(), "anything");
    }
}
