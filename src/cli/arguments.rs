//! Every command and flag, with its help text. Parsing does no work; work sees no raw flags but these.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::machine::Global;
#[cfg(feature = "serve")]
use super::serve_options::ServeOptions;
use crate::config::Format;
use crate::error::did_you_mean;

/// Turn preference pairs into one reward number that reinforcement learning can trust.
#[derive(Debug, Parser)]
#[command(
    name = "ensemble",
    version,
    help_expected = true,
    after_help = "Start here:\n  ensemble init demo && ensemble train-all demo/configs/demo.yaml"
)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A number of things.
pub(super) fn whole_number(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "accepted: a whole number from 1".to_owned())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a runnable example: config, objectives, data
    #[command(after_help = "Example:\n  ensemble init demo\n  ensemble train-all demo/configs/demo.yaml")]
    Init(InitOptions),
    /// Check config, data and backbone without training, and show what was read
    #[command(after_help = "Example:\n  ensemble validate configs/quickstart.yaml")]
    Validate(ConfigOptions),
    /// Say what this machine and this build offer
    Doctor,
    /// Embed the texts once, train every head, publish the registry and write the report
    #[command(after_help = "Examples:\n  ensemble train-all configs/quickstart.yaml\n  \
        ensemble train-all configs/quickstart.yaml --set objectives.safety.weight=2 --dry-run")]
    TrainAll(TrainAllOptions),
    /// Write the report of a registry on the data of a config, without training
    #[command(after_help = "Examples:\n  ensemble report configs/quickstart.yaml\n  \
        ensemble report configs/quickstart.yaml --compare registry/old")]
    Report(ReportOptions),
    /// Embed every text of a config into the feature cache; train nothing
    #[command(after_help = "Example:\n  ensemble features configs/quickstart.yaml")]
    Features(ConfigOptions),
    /// Score responses from JSONL, JSON, CSV or Parquet: per objective and combined
    #[command(after_help = "Example:\n  \
        echo '{\"prompt\": \"Hi\", \"response\": \"Hello!\"}' | ensemble score --registry registry/quickstart\n\n\
        Rows are {\"prompt\", \"response\"} or {\"messages\": [...]} with the assistant's answer last. \
        Output lines keep the input's order; other fields of a row are copied with --keep.")]
    Score(ScoreOptions),
    /// Work out published reward-model benchmarks from local files, beside the rules that look at the length only
    #[command(after_help = "Examples:\n  \
        ensemble eval --registry registry/quickstart --pairs data/quickstart/holistic.jsonl\n  \
        ensemble eval --registry registry/quickstart --rewardbench filtered.parquet --rm-bench chat.json code.json\n\n\
        Every figure as the benchmark's own script works it out: docs/benchmarks.md.")]
    Eval(EvalOptions),
    /// Choose the best of several answers to each prompt, rank all, and say what the best of n is worth
    #[command(
        after_help = "Examples:\n  ensemble best-of-n --registry registry/quickstart answers.jsonl > chosen.jsonl\n  \
        ensemble best-of-n -r registry/quickstart answers.jsonl --gold rating --curve curve.json\n\n\
        Rows are {\"prompt\", \"responses\": [...]}, or as for `score`: those of one prompt belong together. A row a \
        prompt goes to standard output, the curve to standard error and, with --curve, to a file."
    )]
    BestOfN(BestOfNOptions),
    /// Write a registry as a Hugging Face sequence classifier
    #[command(after_help = "Example:\n  ensemble export --registry registry/quickstart exported\n\n\
        The heads must read one token of one layer: backbone.pooling cls (encoders) or last_token (decoders).")]
    Export(ExportOptions),
    /// Serve scores over HTTP, in the dialects of the common trainers, until told to stop
    #[cfg(feature = "serve")]
    #[command(after_help = "Example:\n  ensemble serve --registry registry/quickstart\n\n\
        The address is printed once the server answers. GET /openapi.json lists all routes.")]
    Serve(ServeOptions),
    /// Learn the weights of the combined score from holistic pairs, or see what other weights would do
    Weights(WeightsOptions),
    /// Find labels that are probably wrong, and the pairs that move a head most
    Audit(AuditOptions),
    /// List or verify a registry
    Registry(RegistryOptions),
    /// Print the JSON schema of a config file, for editors
    Schema(SchemaOptions),
    /// Print shell completions
    Completions(CompletionsOptions),
}

/// Options of `init`.
#[derive(Args, Debug)]
pub struct InitOptions {
    /// The folder to make; it must not hold these files yet
    #[arg(default_value = "ensemble-demo")]
    pub folder: PathBuf,
}

/// A config file with overrides.
#[derive(Args, Debug)]
pub struct ConfigOptions {
    /// The run's YAML file
    pub config: PathBuf,
    /// Override a config key, checked like the file: --set backbone.max_tokens=128
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Options of `train-all`.
#[derive(Args, Debug)]
pub struct TrainAllOptions {
    /// The run's YAML file with overrides.
    #[command(flatten)]
    pub config: ConfigOptions,
    /// Print the plan and what is cached; embed and train nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `report`.
#[derive(Args, Debug)]
pub struct ReportOptions {
    /// The run's YAML file with overrides.
    #[command(flatten)]
    pub config: ConfigOptions,
    /// The registry folder; by default the config's output.registry
    #[arg(long, short, env = "ENSEMBLE_REGISTRY")]
    pub registry: Option<PathBuf>,
    /// An older registry: show what changed since, on the same texts
    #[arg(long, value_name = "OLD")]
    pub compare: Option<PathBuf>,
    /// Where to write the report; by default the config's output.report
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

/// Options of `score`.
#[derive(Args, Debug)]
pub struct ScoreOptions {
    /// The registry folder
    #[arg(long, short, env = "ENSEMBLE_REGISTRY")]
    pub registry: PathBuf,
    /// File of JSONL, JSON, CSV or TSV (plain, gzip, zstd) or Parquet; "-" is standard input (JSONL or JSON)
    #[arg(default_value = "-")]
    pub input: PathBuf,
    /// Override weights of the combined score: --weights helpfulness=0.5,safety=2
    #[arg(long, value_name = "NAME=NUMBER", value_delimiter = ',')]
    pub weights: Vec<String>,
    /// Count rows that cannot be scored and go on, instead of stopping at the first
    #[arg(long)]
    pub skip_bad: bool,
    /// Copy this field of every input row to its output row
    #[arg(long, value_name = "FIELD")]
    pub keep: Vec<String>,
    /// Field that names a row's domain: normalized scores are then relative to the domain's reference responses
    #[arg(long, value_name = "FIELD")]
    pub domain_field: Option<String>,
    /// Rows scored together; scores do not depend on it
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = whole_number)]
    pub batch_size: usize,
}

/// Options of `eval`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("benchmarks").required(true).multiple(true)))]
pub struct EvalOptions {
    /// The registry folder
    #[arg(long, short, env = "ENSEMBLE_REGISTRY")]
    pub registry: PathBuf,
    /// RewardBench: rows of prompt, chosen, rejected, subset; may be given again for another file
    #[arg(long, value_name = "FILE", group = "benchmarks")]
    pub rewardbench: Vec<PathBuf>,
    /// RewardBench 2: rows of prompt, chosen and rejected lists, subset, id
    #[arg(long, value_name = "FILE", group = "benchmarks")]
    pub rewardbench2: Option<PathBuf>,
    /// RM-Bench: rows of prompt, chosen and rejected in three styles, domain; several files are one benchmark
    #[arg(long, value_name = "FILE", num_args = 1.., group = "benchmarks")]
    pub rm_bench: Vec<PathBuf>,
    /// JudgeBench: rows of question, response_A, response_B, label, source
    #[arg(long, value_name = "FILE", group = "benchmarks")]
    pub judgebench: Option<PathBuf>,
    /// Pairs in any format, those whose prompts fall into the test split; may be given again for another file
    #[arg(long, value_name = "FILE", group = "benchmarks")]
    pub pairs: Vec<PathBuf>,
    /// Count pairs whatever their prompts' split: for files that the heads were not trained on
    #[arg(long, requires = "pairs")]
    pub all_splits: bool,
    /// The folder of a report of this registry: its page and tables get the figures too
    #[arg(long, value_name = "FOLDER")]
    pub report: Option<PathBuf>,
    /// Override weights of the combined score: --weights helpfulness=0.5,safety=2; not together with --report
    #[arg(long, value_name = "NAME=NUMBER", value_delimiter = ',')]
    pub weights: Vec<String>,
}

/// Options of `best-of-n`.
#[derive(Args, Debug)]
pub struct BestOfNOptions {
    /// The registry folder
    #[arg(long, short, env = "ENSEMBLE_REGISTRY")]
    pub registry: PathBuf,
    /// File of answers, as for `score`; "-" is standard input (JSONL or JSON)
    #[arg(default_value = "-")]
    pub input: PathBuf,
    /// Field with what an answer is worth, such as scores.helpfulness (with `responses`, a list of as many numbers): the curve
    /// then says whether a higher score is a better answer
    #[arg(long, value_name = "FIELD")]
    pub gold: Option<String>,
    /// How far the curve goes; by default as many answers as half of the prompts have
    #[arg(long, value_name = "N", value_parser = whole_number)]
    pub most: Option<usize>,
    /// Write the curve to this JSON file
    #[arg(long, value_name = "FILE")]
    pub curve: Option<PathBuf>,
    /// Override weights of the combined score: --weights helpfulness=0.5,safety=2
    #[arg(long, value_name = "NAME=NUMBER", value_delimiter = ',')]
    pub weights: Vec<String>,
}

/// Options of `export`.
#[derive(Args, Debug)]
pub struct ExportOptions {
    /// The registry folder
    #[arg(long, short, env = "ENSEMBLE_REGISTRY")]
    pub registry: PathBuf,
    /// The folder to make; it must be new or empty
    pub output: PathBuf,
    /// Which scores the classifier gives
    #[arg(long, value_enum, default_value_t = ExportLabels::Auto)]
    pub labels: ExportLabels,
}

/// Which scores an exported classifier gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportLabels {
    /// The combined score where it is linear, one per objective otherwise
    Auto,
    /// The combined score
    Combined,
    /// One per objective
    Objectives,
}

/// Options of `weights`.
#[derive(Args, Debug)]
pub struct WeightsOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: WeightsAction,
}

/// What `weights` can do.
#[derive(Debug, Subcommand)]
pub enum WeightsAction {
    /// Learn weights from holistic pairs, with standard errors and tests
    #[command(after_help = "Example:\n  \
        ensemble weights fit --registry registry/quickstart --holistic data/quickstart/holistic.jsonl\n\n\
        A Bradley-Terry fit on differences of normalized scores; ends with the weights for your run's YAML.")]
    Fit(FitOptions),
    /// Walk over all weights: accuracy per objective, preferences that turn round, Pareto set
    #[command(after_help = "Example:\n  \
        ensemble weights sweep --registry registry/quickstart --holistic data/quickstart/holistic.jsonl \\\n    \
        --pairs helpfulness=data/quickstart/helpfulness.pairs.jsonl \\\n    \
        --pairs safety=data/quickstart/safety.pairs.jsonl --step 0.05 --output sweep.parquet")]
    Sweep(SweepOptions),
    /// Say of every pair by which weights its preference turns round, as JSON lines
    #[command(after_help = "Example:\n  \
        ensemble weights flip --registry registry/quickstart data/quickstart/safety.pairs.jsonl\n\n\
        Lines are ordered by content, each distinct pair once, with its texts.")]
    Flip(FlipOptions),
}

/// Options of `weights fit`.
#[derive(Args, Debug)]
pub struct FitOptions {
    /// The registry folder
    #[arg(long, short, env = "ENSEMBLE_REGISTRY")]
    pub registry: PathBuf,
    /// Pairs that say which answer is better all things considered: a file, a folder or a pattern
    #[arg(long, value_name = "FILE")]
    pub holistic: PathBuf,
    /// How the pairs are read.
    #[command(flatten)]
    pub reading: PairReading,
}

/// How a file of pairs is read.
#[derive(Args, Debug)]
pub struct PairReading {
    /// Which of a row's scores or labels counts, in formats that have several [default: overall]
    #[arg(long, value_name = "NAME")]
    pub score: Option<String>,
    /// The files' format; by default it is told from the first row
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub format: Option<Format>,
}

/// Options of `weights sweep`.
#[derive(Args, Debug)]
pub struct SweepOptions {
    /// The registry folder
    #[arg(long, short, env = "ENSEMBLE_REGISTRY")]
    pub registry: PathBuf,
    /// Pairs that say which answer is better all things considered
    #[arg(long, value_name = "FILE")]
    pub holistic: Option<PathBuf>,
    /// Pairs labelled for one objective: --pairs safety=data/safety.jsonl
    #[arg(long, value_name = "NAME=FILE")]
    pub pairs: Vec<String>,
    /// The format of all these files; by default it is told from each one's first row
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub format: Option<Format>,
    /// How far neighbouring weights are apart; made larger where that would be over 20,000 points
    #[arg(long, default_value = "0.1", value_name = "STEP", value_parser = steps)]
    pub step: usize,
    /// The Parquet table to write
    #[arg(long, default_value = "sweep.parquet", value_name = "FILE")]
    pub output: PathBuf,
}

/// Options of `weights flip`.
#[derive(Args, Debug)]
pub struct FlipOptions {
    /// The registry folder
    #[arg(long, short, env = "ENSEMBLE_REGISTRY")]
    pub registry: PathBuf,
    /// Pairs in any format: a file, a folder or a pattern
    pub file: PathBuf,
    /// How the pairs are read.
    #[command(flatten)]
    pub reading: PairReading,
}

fn format(text: &str) -> Result<Format, String> {
    let words: Vec<&str> = Format::all().map(Format::word).collect();
    let meant = || did_you_mean(text, &words).map_or_else(String::new, |word| format!("did you mean {word}? "));
    Format::all()
        .find(|format| format.word() == text)
        .ok_or_else(|| format!("{}accepted: {}", meant(), words.join(", ")))
}

/// How many steps of the size in `text` lead from 0 to 1.
fn steps(text: &str) -> Result<usize, String> {
    let accepted = "accepted: 1 divided by a whole number up to 1000, as in 0.1, 0.05 or 0.01";
    let step: f64 = text.parse().map_err(|_| accepted.to_owned())?;
    let steps = (1.0 / step).round();
    let whole = (1.0..=1000.0).contains(&steps) && (steps * step - 1.0).abs() < 1e-3;
    if whole { Ok(steps as usize) } else { Err(accepted.to_owned()) }
}

/// Options of `audit`.
#[derive(Args, Debug)]
pub struct AuditOptions {
    /// What to look at.
    #[command(subcommand)]
    pub action: AuditAction,
}

/// What `audit` can do.
#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// List the training pairs whose label a head that has not seen them finds least credible, and the most influential
    #[command(after_help = "Examples:\n  ensemble audit labels safety --config configs/quickstart.yaml\n  \
        ensemble audit labels safety --config configs/quickstart.yaml --top 500 --json > suspects.jsonl")]
    Labels(AuditLabelsOptions),
}

/// Options of `audit labels`.
#[derive(Args, Debug)]
pub struct AuditLabelsOptions {
    /// The objective's name
    pub objective: String,
    /// The run's YAML file
    #[arg(long)]
    pub config: PathBuf,
    /// Override a config key, checked like the file: --set backbone.max_tokens=128
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// How many pairs each list has
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = whole_number)]
    pub top: usize,
}

/// Options of `registry`.
#[derive(Args, Debug)]
pub struct RegistryOptions {
    /// What to do with it.
    #[command(subcommand)]
    pub action: RegistryAction,
}

/// What `registry` can do.
#[derive(Debug, Subcommand)]
pub enum RegistryAction {
    /// Show the heads with their held-out quality
    List {
        /// The registry folder
        folder: PathBuf,
    },
    /// Check every digest and recompute the golden examples
    Verify {
        /// The registry folder
        folder: PathBuf,
    },
}

/// Options of `schema`.
#[derive(Args, Debug)]
pub struct SchemaOptions {
    /// Which file's schema
    #[arg(value_enum)]
    pub of: SchemaOf,
}

/// The files that have a schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SchemaOf {
    /// A run, as in configs/
    Run,
    /// An objective, as in objectives/
    Objective,
}

/// Options of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsOptions {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
