//! The report of a registry without training, beside an older one, and with figures of a benchmark.

use serde_json::Value;

use crate::project::{Project, trained};

fn document(project: &Project, folder: &str) -> Value {
    let text = std::fs::read_to_string(project.path(&format!("{folder}/report.json"))).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

fn reported(project: &Project, arguments: &[&str]) -> String {
    let output = project.run(&[&["report", "configs/quickstart.yaml"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_registry_reports_what_training_reported() {
    let project = Project::warm();
    // One of them has a hidden layer, one is kept from following length.
    let layer = "objectives.helpfulness.head={mlp: {hidden: 4, max_epochs: 20}}";
    let control = "objectives.safety.head={control: [{probe: length}]}";
    project.train(&["--quiet", "--set", layer, "--set", control]);
    let trained = document(&project, "reports/quickstart");
    let printed = reported(&project, &["--output", "again", "--set", layer, "--set", control]);
    let mut again = document(&project, "again");
    assert_eq!(again["from_registry"], true);
    assert!(trained["objectives"][1]["learning_curve"].as_array().is_some_and(|points| !points.is_empty()));
    // In the folder of training's own report nothing that only training knows is lost.
    let page = std::fs::read(project.path("reports/quickstart/index.html")).expect("a page");
    reported(&project, &["--set", layer, "--set", control]);
    assert_eq!(document(&project, "reports/quickstart"), trained);
    assert!(std::fs::read(project.path("reports/quickstart/index.html")).expect("a page") == page);
    // Elsewhere all else is the same.
    let mut trained = trained;
    for document in [&mut trained, &mut again] {
        for part in ["from_registry", "readouts"] {
            document[part] = Value::Null;
        }
        document["examples"]["suspicious"] = Value::Null;
        for objective in document["objectives"].as_array_mut().expect("a list") {
            for part in ["fit", "mlp", "controls", "learning_curve", "reference"] {
                objective[part] = Value::Null;
            }
        }
        document["warnings"] = Value::Null;
    }
    for (part, value) in trained.as_object().expect("an object") {
        assert_eq!(*value, again[part], "{part}");
    }
    for objective in ["helpfulness", "safety", "conciseness"] {
        assert!(printed.contains(&format!("{objective}: ")), "{printed}");
    }
    assert!(printed.contains("conflict most") && printed.contains("per doubling of the words"), "{printed}");
}

#[test]
fn two_reports_of_one_registry_have_the_same_bytes() {
    let project = Project::warm();
    project.train(&["--quiet"]);
    for folder in ["one", "two"] {
        reported(&project, &["--output", folder, "--threads", if folder == "one" { "1" } else { "2" }]);
    }
    let (one, two) = (project.files("one"), project.files("two"));
    assert!(one.len() > 40 && one.keys().eq(two.keys()), "{:?}", one.keys());
    let different: Vec<&String> =
        one.iter().filter(|(name, bytes)| two[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(different.is_empty(), "{different:?}");
}

#[test]
fn an_older_registry_is_compared_on_the_same_pairs() {
    let project = Project::warm();
    project.train(&["--quiet", "--set", "output.registry=registry/old", "--set", "objectives.safety.head={l2: 1e5}"]);
    let old = document(&project, "reports/quickstart");
    project.train(&["--quiet"]);
    let new = document(&project, "reports/quickstart");
    reported(&project, &["--compare", "registry/old"]);
    let drift = &document(&project, "reports/quickstart")["drift"];
    let objective = |name: &str| {
        let all = drift["objectives"].as_array().expect("a list");
        all.iter().find(|one| one["name"] == name).expect("compared").clone()
    };
    let helpfulness = objective("helpfulness");
    assert_eq!(helpfulness["change"]["value"], 0.0);
    assert_eq!((&helpfulness["turned"]["value"], &helpfulness["kolmogorov_smirnov"]), (&0.0.into(), &0.0.into()));
    // What each run said of its own safety head.
    let (safety, trained) = (objective("safety"), |document: &Value| document["objectives"][1].clone());
    let (old, new) = (trained(&old), trained(&new));
    assert_eq!((&safety["old_accuracy"], &safety["new_accuracy"]), (&old["accuracy"], &new["accuracy"]));
    assert_eq!(safety["calibration_error"], Value::from(vec![old["ece"].clone(), new["ece"].clone()]));
    let number = |value: &Value| value.as_f64().expect("a number");
    let change = number(&new["log_loss"]) - number(&old["log_loss"]);
    assert!((number(&safety["log_loss_change"]["value"]) - change).abs() < 1e-12, "{safety}");
    assert!(number(&safety["turned"]["value"]) > 0.0 && number(&objective("(combined)")["turned"]["value"]) > 0.0);
    let page = std::fs::read_to_string(project.path("reports/quickstart/index.html")).expect("a page");
    assert!(page.contains("What changed against the old registry?") && page.contains("registry&#x2f;old"));
}

#[test]
fn other_objectives_are_refused() {
    let project = Project::warm();
    let config = std::fs::read_to_string(project.path("configs/quickstart.yaml")).expect("config");
    let fewer = config.replace("  - file: ../objectives/safety.yaml\n    weight: 1.5\n", "");
    assert_ne!(config, fewer);
    std::fs::write(project.path("configs/fewer.yaml"), fewer).expect("written");
    let registry = trained().path("registry/quickstart").display().to_string();
    let output = project.run(&["report", "configs/fewer.yaml", "--registry", &registry]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("its objectives are helpfulness, safety, conciseness"), "{said}");
    assert!(said.contains("helpfulness, conciseness"), "{said}");
    assert!(!project.path("reports/quickstart/index.html").exists());
}

#[test]
fn figures_of_a_benchmark_stand_beside_the_rest() {
    let project = Project::warm();
    project.train(&["--quiet"]);
    let before = document(&project, "reports/quickstart");
    let text = std::fs::read_to_string(project.path("data/quickstart/holistic.jsonl")).expect("data");
    let lines: Vec<&str> = text.lines().collect();
    for (folder, lines) in [("a", &lines[..200]), ("b", &lines[200..])] {
        std::fs::create_dir(project.path(folder)).expect("created");
        std::fs::write(project.path(&format!("{folder}/test.jsonl")), lines.join("\n")).expect("written");
    }
    let evaluate = |pairs: &[&str], report: &str| {
        let pairs: Vec<&str> = pairs.iter().flat_map(|file| ["--pairs", *file]).collect();
        project.run(&[&["eval", "--registry", "registry/quickstart", "--report", report], pairs.as_slice()].concat())
    };
    // Each time those that are there already are replaced, and b/test.jsonl does not replace a/test.jsonl.
    for pairs in [&["a/test.jsonl"][..], &["b/test.jsonl"], &["a/test.jsonl", "b/test.jsonl"]] {
        let output = evaluate(pairs, "reports/quickstart");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(printed.contains("pairs: a/test.jsonl,"), pairs.len() == 2, "{printed}");
    }
    let after = document(&project, "reports/quickstart");
    assert_eq!(before["objectives"], after["objectives"]);
    let places: Vec<&Value> = after["benchmarks"].as_array().expect("a list").iter().map(|one| &one["place"]).collect();
    assert_eq!(places, ["a/test.jsonl", "b/test.jsonl"]);
    let page = std::fs::read_to_string(project.path("reports/quickstart/index.html")).expect("a page");
    assert!(
        page.contains("Published benchmarks")
            && page.contains("a&#x2f;test.jsonl,")
            && page.contains("b&#x2f;test.jsonl,")
    );
    assert!(page.contains("were left out; --all-splits counts them too."));
    let folder = project.path("a").display().to_string();
    assert!(!after["benchmarks"].to_string().contains(&folder), "no absolute path");
    let nowhere = evaluate(&["a/test.jsonl"], "reports/nowhere");
    assert_eq!(nowhere.status.code(), Some(3), "{}", String::from_utf8_lossy(&nowhere.stderr));
}

#[test]
fn figures_do_not_go_into_a_report_of_other_heads_or_weights() {
    let project = Project::warm();
    project.train(&["--quiet"]);
    let other = |name: &str, set: &str| {
        let registry = format!("output.registry=registry/{name}");
        project.train(&[
            "--quiet",
            "--set",
            &registry,
            "--set",
            &format!("output.report=reports/{name}"),
            "--set",
            set,
        ]);
    };
    other("heads", "objectives.safety.head={l2: 1e5}");
    other("weights", "objectives.safety.weight=3");
    for (report, said) in [
        ("reports/heads", "other heads of the same names, from another training: safety"),
        ("reports/weights", "the same heads with another formula for the combined score"),
    ] {
        let before = document(&project, report);
        let pairs = "data/quickstart/holistic.jsonl";
        let output = project.run(&["eval", "--registry", "registry/quickstart", "--pairs", pairs, "--report", report]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(&format!("{report} is a report of {said}")), "{errors}");
        assert_eq!(before, document(&project, report));
    }
}
