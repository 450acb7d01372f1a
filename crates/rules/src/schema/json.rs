//! Schemas in the form of JSON Schema, draft 6.

use serde_json::{Map, Value, json};

use super::{Object, Shape};

impl Shape {
    /// The whole as a JSON schema, for editors and pipelines.
    pub fn to_json_schema(&self, title: &str) -> Value {
        let mut schema = json!({ "$schema": "http://json-schema.org/draft-06/schema#", "title": title });
        if let (Value::Object(all), Value::Object(own)) = (&mut schema, self.to_json()) {
            all.extend(own);
        }
        schema
    }

    fn to_json(&self) -> Value {
        let list = |shapes: &[Shape]| shapes.iter().map(Shape::to_json).collect::<Vec<_>>();
        match self {
            Shape::Any => json!({}),
            Shape::Null => json!({ "type": "null" }),
            Shape::Text => json!({ "type": "string" }),
            Shape::Version => json!({ "type": ["string", "number"] }),
            Shape::Bool => json!({ "type": "boolean" }),
            Shape::Integer => json!({ "type": "integer" }),
            Shape::Between(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Shape::Number => json!({ "type": "number" }),
            Shape::Item => json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
            Shape::OneOf(words) => json!({ "type": "string", "enum": words }),
            Shape::Array(element) => json!({ "type": "array", "items": element.to_json() }),
            Shape::Object(object) => object.to_json(),
            Shape::Free(Shape::Any) => json!({ "type": "object" }),
            Shape::Free(value) => json!({ "type": "object", "additionalProperties": value.to_json() }),
            Shape::AnyOf(shapes) => json!({ "anyOf": list(shapes) }),
            Shape::OneShapeOf(shapes) => json!({ "oneOf": list(shapes) }),
        }
    }
}

impl Object {
    fn to_json(&self) -> Value {
        let properties: Map<String, Value> =
            self.properties.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_json())).collect();
        let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
        if self.at_least > 0 {
            schema["minProperties"] = self.at_least.into();
        }
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        schema
    }
}
