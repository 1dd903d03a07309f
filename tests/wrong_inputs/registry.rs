//! Damaged, foreign and edited registries.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::backbone;
use crate::project::{Project, TRAIN};

const MANIFEST: &str = "registry/run/manifest.json";
const VERIFY: [&str; 5] = ["registry", "verify", "--threads", "1", "registry/run"];

/// The message for a manifest changed by `change`, exit code 3.
fn manifest_with(change: impl Fn(&mut Value)) -> String {
    let project = Project::trained();
    project.write(MANIFEST, manifest(&project, change).to_string());
    project.refused(3, &VERIFY)
}

fn manifest(project: &Project, change: impl Fn(&mut Value)) -> Value {
    let mut manifest = serde_json::from_slice(&project.read(MANIFEST)).expect("JSON");
    change(&mut manifest);
    manifest
}

/// The file of the first objective's head.
fn head(project: &Project) -> String {
    let name = manifest(project, |_| {})["objectives"][0]["head"].as_str().expect("text").to_owned();
    format!("registry/run/{name}")
}

#[test]
fn a_folder_without_a_registry() {
    assert_snapshot!(Project::new().refused(3, &["score", "--registry", "registry/run"]));
}

#[test]
fn a_list_of_no_registry() {
    assert_snapshot!(Project::new().refused(3, &["registry", "list", "configs"]));
}

#[test]
fn a_head_with_one_byte_changed() {
    let project = Project::trained();
    let head = head(&project);
    let mut bytes = project.read(&head);
    *bytes.last_mut().expect("not empty") ^= 1;
    project.write(&head, bytes);
    assert_snapshot!(project.refused(3, &VERIFY));
}

#[test]
fn a_head_that_is_missing() {
    let project = Project::trained();
    project.remove(&head(&project));
    assert_snapshot!(project.refused(3, &VERIFY));
}

#[test]
fn a_backbone_in_another_precision_than_it_was_trained_in() {
    for dtype in ["bf16", "int8"] {
        let project = Project::new();
        let set = format!("backbone.dtype={dtype}");
        let trained = project.run(&[TRAIN.as_slice(), &["--set", &set]].concat(), "");
        assert_eq!((trained.code, trained.errors.as_str()), (0, ""));
        let whole = manifest(&project, |manifest| assert_eq!(manifest["backbone"]["dtype"], dtype));
        assert_eq!(project.run(&VERIFY, "").code, 0, "opened in {dtype}, its golden examples score as they did");
        // Without the key it would be opened in f32, whose features are others.
        let mut edited = whole.clone();
        edited["backbone"].as_object_mut().expect("an object").remove("dtype");
        project.write(MANIFEST, edited.to_string());
        let message = project.refused(3, &VERIFY);
        assert!(message.contains("or other settings of it, than the heads were trained on"), "{message}");
        project.write(MANIFEST, whole.to_string());
        assert_eq!(project.run(&VERIFY, "").code, 0);
    }
}

#[test]
fn a_manifest_of_a_newer_format() {
    assert_snapshot!(manifest_with(|manifest| {
        manifest["format"] = json!(4);
        manifest["created_by"] = json!("ensemble 9.0.0");
    }));
}

#[test]
fn a_manifest_that_points_outside() {
    assert_snapshot!(manifest_with(|manifest| {
        manifest["objectives"][0]["head"] = json!("../../data/pairs.jsonl");
        manifest["objectives"][1]["head"] = json!("heads/../../x.safetensors");
    }));
}

#[test]
fn a_manifest_with_unusable_numbers() {
    assert_snapshot!(manifest_with(|manifest| {
        manifest["objectives"][0]["head_digest"] = json!("abc");
        manifest["objectives"][1]["normalizer"] = json!({ "kind": "zscore", "mean": 0.0, "deviation": 0.0 });
        manifest["golden"] = json!([]);
    }));
}

#[test]
fn a_manifest_with_a_rule_that_cannot_combine() {
    assert_snapshot!(manifest_with(|manifest| {
        manifest["objectives"][0]["weight"] = json!(-1);
        manifest["objectives"][1]["weight"] = json!(1e9);
        manifest["combine"]["uncertainty_penalty"] = json!(-1);
        manifest["combine"]["rule"] = json!({ "kind": "soft_min", "tau": 0 });
        manifest["combine"]["references"] = json!({ "quality": 1 });
    }));
}

#[test]
fn a_manifest_with_a_rule_that_no_build_knows() {
    let message = manifest_with(|manifest| manifest["combine"]["rule"] = json!({ "kind": "median" }));
    assert!(message.contains("not a manifest this build reads: unknown variant `median`"), "{message}");
}

#[test]
fn a_manifest_without_a_field() {
    let project = Project::trained();
    project.write(MANIFEST, "{\n  \"format\": 3,\n  \"created_by\": \"ensemble 0.1.0\",\n  \"name\": \"run\"\n}\n");
    assert_snapshot!(project.refused(3, &VERIFY));
}

#[test]
fn a_manifest_that_is_cut_short() {
    let project = Project::trained();
    project.write(MANIFEST, "{\n  \"format\": 3,\n");
    assert_snapshot!(project.refused(3, &VERIFY));
}

#[test]
fn a_manifest_of_something_else() {
    let project = Project::trained();
    project.write(MANIFEST, r#"{"name": "a web app", "icons": []}"#);
    assert_snapshot!(project.refused(3, &VERIFY));
}

#[test]
fn another_backbone() {
    let project = Project::trained();
    let mut tensors = backbone::tensors();
    let bias = "encoder.layer.0.output.dense.bias";
    tensors.insert(bias.to_owned(), backbone::Stored::new(&[16], [0.25; 16]));
    project.write_backbone(&backbone::config(), &backbone::tokenizer(), &tensors);
    assert_snapshot!(project.refused(3, &VERIFY));
}

#[test]
fn a_backbone_that_moved() {
    let project = Project::trained();
    let edited =
        manifest(&project, |manifest| manifest["backbone"]["place"] = json!({ "path": "../../backbones/gone" }));
    project.write(MANIFEST, edited.to_string());
    assert_snapshot!(project.refused(2, &VERIFY));
}

#[test]
fn golden_examples_with_other_tokens() {
    assert_snapshot!(manifest_with(|manifest| manifest["golden"][1]["ids"][1] = json!(7)));
}

#[test]
fn golden_examples_with_other_scores() {
    let message = manifest_with(|manifest| manifest["golden"][2]["raw"][0] = json!(1000));
    assert!(message.contains("golden example 2 scores "), "{message}");
    assert!(
        message.contains(" for quality, was 1000.000000\n  help: the backbone or this program changed"),
        "{message}"
    );
}

#[test]
fn settings_other_than_the_trained_ones() {
    assert_snapshot!(manifest_with(|manifest| {
        manifest["backbone"]["max_tokens"] = json!(16);
    }));
}
