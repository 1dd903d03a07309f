//! The JSON schemas of both YAML files, generated from [`super::raw`].
//!
//! Editors read the committed text under `schema/`; [`super::shape`] checks files against the very same value, so what
//! an editor underlines and what a run refuses cannot differ in keys, types, words or ranges.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, ReplaceConstValue};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::raw::{RawObjective, RawRun};

/// The file name of the run schema under `schema/`.
pub const RUN_SCHEMA_FILE: &str = "run.schema.json";
/// The file name of the objective schema under `schema/`.
pub const OBJECTIVE_SCHEMA_FILE: &str = "objective.schema.json";

/// The JSON schema (draft 7) of a run file, as text that ends with a newline.
pub fn run_schema() -> String {
    text(&run())
}

/// The JSON schema (draft 7) of an objective file, as text that ends with a newline.
pub fn objective_schema() -> String {
    text(&objective())
}

/// The schema of a run file.
pub(super) fn run() -> Value {
    generate::<RawRun>()
}

/// The schema of an objective file.
pub(super) fn objective() -> Value {
    generate::<RawObjective>()
}

fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// Subschemas stand inline so that whoever walks the schema need not follow references; keys are sorted so that the
/// text does not depend on the features other crates give `serde_json`.
fn generate<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.transforms.push(Box::new(ReplaceConstValue::default()));
        settings.transforms.push(Box::new(RecursiveTransform(forbid_null)));
        settings.transforms.push(Box::new(RecursiveTransform(drop_rust_formats)));
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    schema.sort_all_objects();
    schema
}

/// An `Option` in Rust is a key that may be left out, not one that may hold null.
fn forbid_null(schema: &mut Schema) {
    let null = Value::from("null");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| *name != null);
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type") != Some(&null));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                if schema.get(&key).is_none() {
                    schema.insert(key, value);
                }
            }
        }
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// `uint64` and `double` tell an editor nothing.
fn drop_rust_formats(schema: &mut Schema) {
    schema.remove("format");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files;

    #[test]
    fn committed_schemas_are_the_generated_ones() -> crate::error::Result<()> {
        for (name, generated) in [(RUN_SCHEMA_FILE, run_schema()), (OBJECTIVE_SCHEMA_FILE, objective_schema())] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
            if std::env::var_os("ENSEMBLE_UPDATE").is_some() {
                files::write_atomic(&path, generated.as_bytes())?;
            }
            let committed = files::read_text(&path, "the committed schema")?;
            assert!(committed == generated, "{name} is out of date: run the tests with ENSEMBLE_UPDATE=1");
        }
        Ok(())
    }

    #[test]
    fn nothing_may_be_null_and_every_key_is_described() {
        fn walk(schema: &Value, path: &str) {
            for word in ["anyOf", "type", "default"] {
                assert!(!schema[word].to_string().contains("null") || schema[word].is_null(), "{path}: {schema}");
            }
            for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
                assert!(inner["description"].is_string(), "{path}.{key} has no description");
                walk(inner, &format!("{path}.{key}"));
            }
            if schema["items"].is_object() {
                walk(&schema["items"], &format!("{path}[]"));
            }
        }
        walk(&run(), "run");
        walk(&objective(), "objective");
    }

    #[test]
    fn whole_numbers_are_bounded_so_that_they_fit_their_rust_types() {
        fn bounded(schema: &Value) -> bool {
            (schema["type"] != "integer" || (schema["minimum"].is_i64() && schema["maximum"].is_i64()))
                && schema.as_object().into_iter().flatten().all(|(_, inner)| bounded(inner))
        }
        assert!(bounded(&run()) && bounded(&objective()));
    }

    #[test]
    fn schemas_follow_draft_7_and_close_every_mapping() {
        fn closed(schema: &Value) -> bool {
            (schema["type"] != "object" || schema["additionalProperties"] == false)
                && schema.as_object().into_iter().flatten().all(|(_, inner)| closed(inner))
        }
        for schema in [run(), objective()] {
            assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
            assert!(closed(&schema));
        }
        assert_eq!(run()["required"], serde_json::json!(["name", "backbone", "objectives"]));
        assert_eq!(objective()["required"], serde_json::json!(["name", "question", "labels", "data"]));
    }
}
