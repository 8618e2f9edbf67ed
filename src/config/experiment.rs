//! An experiment file: a question, fixed values, axes, variants, sizes, and the values it is held against.

use serde_json::{Map, Value};
use toml_edit::{Document, Item, TableLike};

use super::layer::{Axes, Found, Layer, Place, Reader};
use super::{Invalid, Reference, elsewhere, idle, overlay, preset, sections, syntax};

/// What the command line lays over a file. Later layers win: file, then `size`, then `set` and `grid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--size NAME`.
    pub size: Option<String>,
    /// `--set KEY=VALUE`; fixes the value, also of a key that the file varies.
    pub set: Vec<String>,
    /// `--grid KEY=V1,V2`; replaces or adds an axis.
    pub grid: Vec<String>,
}

/// A validated experiment with its overlays applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    pub name: String,
    pub question: String,
    /// Why the experiment is as it is.
    pub why: String,
    /// What its tables show, the main one first, each with or without `.last`, `.best` or `.reach=X`; none: k-NN.
    pub metrics: Vec<String>,
    /// The size that was asked for.
    pub size: Option<String>,
    pub sizes: Vec<Size>,
    /// Fixed values, dotted key → value.
    pub base: Map<String, Value>,
    /// In file order.
    pub grid: Vec<Axis>,
    pub variants: Vec<Variant>,
    /// Keys that tell its runs apart, `seed` left out: axes first, then what variants set.
    pub factors: Vec<String>,
    pub references: Vec<Reference>,
    /// What the command line sets without any effect, in words.
    pub idle: Vec<String>,
    /// The file as it was written.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub key: String,
    pub values: Vec<Value>,
}

/// What a product of axes cannot say.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    pub name: String,
    pub set: Map<String, Value>,
}

/// The same question at another cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    pub name: String,
    /// Why it is fair.
    pub why: String,
}

/// Runs that one experiment may plan: more is a slip of the keyboard.
const MOST_RUNS: usize = 10_000;

/// Reads an experiment file. All mistakes are reported at once.
pub fn parse(file: &str, text: &str, overrides: &Overrides) -> Result<Experiment, Invalid> {
    let mut reader = Reader { file: file.to_owned(), text: text.to_owned(), problems: Vec::new() };
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => return Err(Invalid(vec![syntax::problem(&reader, &error)])),
    };
    let written = Written::read(&mut reader, document.as_table());
    let mut problems = reader.problems;
    let (set, set_preset) = overlay::settings(&overrides.set, &mut problems);
    let axes = overlay::axes(&overrides.grid, &mut problems);
    let size = overrides.size.as_deref().and_then(|name| {
        let size = written.sizes.iter().find(|size| size.name == name);
        if size.is_none() {
            let place = Place { file: "--size".to_owned(), line: None };
            let names: Vec<&str> = written.sizes.iter().map(|size| size.name.as_str()).collect();
            let allowed = if names.is_empty() {
                "no size: the file has none".into()
            } else {
                names.join(", ")
            };
            problems.push(place.problem("", name, allowed));
        }
        size
    });
    let preset = [&set_preset, &written.preset].into_iter().flatten().find_map(|found| {
        let known = found.value.as_str().and_then(preset::preset);
        if known.is_none() {
            let allowed = preset::PRESETS.join(", ");
            problems.push(found.place.problem("preset", found.raw.clone(), allowed));
        }
        known
    });
    // Mistakes in what is set are mistakes whatever is asked for on the command line, so files are judged alone first.
    let mut plan = Plan::new(preset.unwrap_or_default(), &written);
    idle::check(&plan, &written.base, &written.grid, &written.variants, &mut problems);
    if let Some(size) = size {
        plan.lay(&size.base, &size.grid);
        idle::check(&plan, &size.base, &size.grid, &[], &mut problems);
    }
    plan.lay(&set, &axes);
    idle::check(&plan, &set, &axes, &[], &mut problems);
    let mut layers = vec![&written.base];
    layers.extend(size.map(|size| &size.base));
    layers.push(&set);
    elsewhere::check(&plan, &plan.written("eval.on", &layers), &mut problems);
    let n_runs = plan.axes.iter().map(|(_, _, values)| values.len());
    let n_runs = n_runs.fold(1 + plan.variants.len(), usize::saturating_mul);
    if MOST_RUNS < n_runs {
        let place = Place { file: file.to_owned(), line: None };
        let allowed = format!("at most {MOST_RUNS} runs");
        problems.push(place.problem("grid", format!("{n_runs} runs"), allowed));
    }
    if problems.is_empty() {
        let idle = idle::remarks(&plan, &set, &axes);
        Ok(plan.finish(written, overrides.size.clone(), idle, text))
    } else {
        problems.sort_by_key(|problem| (problem.line.is_none(), problem.line));
        Err(Invalid(problems))
    }
}

/// A file's sections, checked one by one.
#[derive(Default)]
pub(super) struct Written {
    pub name: String,
    pub question: String,
    pub why: String,
    pub metrics: Vec<String>,
    pub preset: Option<Found>,
    pub base: Layer,
    pub grid: Axes,
    pub variants: Vec<(String, Layer)>,
    pub sizes: Vec<WrittenSize>,
    pub references: Vec<Reference>,
}

pub(super) struct WrittenSize {
    pub name: String,
    pub why: String,
    pub base: Layer,
    pub grid: Axes,
}

impl Written {
    fn read(reader: &mut Reader, table: &dyn TableLike) -> Self {
        let mut written = Written::default();
        let mut named = false;
        for (key, place, item) in reader.entries(table) {
            match key.as_str() {
                "name" => {
                    named = true;
                    written.name = sections::name(reader, &place, item);
                }
                "question" => written.question = sections::text(reader, "question", &place, item),
                "why" => written.why = sections::text(reader, "why", &place, item),
                "metrics" => written.metrics = sections::metrics(reader, &place, item),
                "preset" => written.preset = Some(reader.found(item, &place)),
                "base" => written.base = section(reader, &key, &place, item, Reader::layer),
                "grid" => {
                    written.grid = section(reader, &key, &place, item, sections::grid(&place));
                }
                "variant" => written.variants = sections::variants(reader, &place, item),
                "size" => written.sizes = section(reader, &key, &place, item, sections::sizes),
                "reference" => written.references = sections::references(reader, &place, item),
                _ => {
                    let allowed = "name, question, why, metrics, preset, [base], [grid], [[variant]], [size.NAME], [[reference]]";
                    reader.problems.push(place.problem(&key, "an unknown key", allowed));
                }
            }
        }
        if !named {
            let place = Place { file: reader.file.clone(), line: None };
            reader.problems.push(place.problem("name", "nothing", sections::NAME_RULE));
        }
        written
    }
}

/// Reads a section that has to be a table.
pub(super) fn section<T: Default>(
    reader: &mut Reader,
    key: &str,
    place: &Place,
    item: &Item,
    read: impl FnOnce(&mut Reader, &dyn TableLike) -> T,
) -> T {
    if let Some(table) = item.as_table_like() {
        return read(reader, table);
    }
    let found = reader.found(item, place).raw;
    reader.problems.push(place.problem(key, found, "a table"));
    T::default()
}

/// Layers laid over each other.
pub(super) struct Plan {
    pub base: Map<String, Value>,
    pub axes: Axes,
    pub variants: Vec<(String, Layer)>,
}

impl Plan {
    fn new(preset: Map<String, Value>, written: &Written) -> Self {
        let mut plan = Plan { base: preset, axes: Axes::new(), variants: written.variants.clone() };
        plan.lay(&written.base, &[]);
        plan.axes.clone_from(&written.grid);
        plan
    }

    /// A later layer wins: its values replace axes of the same key, its axes replace axes.
    fn lay(&mut self, layer: &[(String, Found)], axes: &[(String, Place, Vec<Found>)]) {
        for (key, found) in layer {
            self.base.insert(key.clone(), found.value.clone());
            self.axes.retain(|(axis, ..)| axis != key);
        }
        for new in axes {
            match self.axes.iter_mut().find(|(key, ..)| *key == new.0) {
                Some(old) => old.clone_from(new),
                None => self.axes.push(new.clone()),
            }
        }
    }

    /// Every value that is set of `key` in some run; none stands for runs in which nothing sets it.
    pub fn values(&self, key: &str) -> Vec<Option<Value>> {
        let axis = self.axes.iter().find(|(axis, ..)| axis == key);
        let values: Vec<Option<Value>> = match axis {
            Some((_, _, values)) => values.iter().map(|found| Some(found.value.clone())).collect(),
            None => vec![self.base.get(key).cloned()],
        };
        let of = |layer: &Layer| layer.iter().find(|(known, _)| known == key).cloned();
        let variants = self.variants.iter().filter_map(|(_, layer)| of(layer));
        values.into_iter().chain(variants.map(|(_, found)| Some(found.value))).collect()
    }

    /// Where the values of `key` that count were written; of `layers` the last that has it does.
    fn written<'a>(&'a self, key: &str, layers: &[&'a Layer]) -> Vec<&'a Found> {
        let of = |layer: &'a Layer| layer.iter().find(|(known, _)| known == key).map(|(_, at)| at);
        let fixed = layers.iter().rev().find_map(|layer| of(layer));
        let axis = self.axes.iter().find(|(axis, ..)| axis == key);
        let varied = axis.into_iter().flat_map(|(_, _, values)| values);
        let fixed = fixed.filter(|_| axis.is_none()).into_iter();
        fixed.chain(varied).chain(self.variants.iter().filter_map(|(_, layer)| of(layer))).collect()
    }

    fn finish(
        self,
        written: Written,
        size: Option<String>,
        idle: Vec<String>,
        text: &str,
    ) -> Experiment {
        let values =
            |layer: Layer| layer.into_iter().map(|(key, found)| (key, found.value)).collect();
        let axis = |(key, _, found): (String, Place, Vec<Found>)| Axis {
            key,
            values: found.into_iter().map(|found| found.value).collect(),
        };
        let variant = |(name, layer)| Variant { name, set: values(layer) };
        let grid: Vec<Axis> = self.axes.into_iter().map(axis).collect();
        let variants: Vec<Variant> = self.variants.into_iter().map(variant).collect();
        let mut factors: Vec<String> = Vec::new();
        let keys = grid.iter().map(|axis| &axis.key);
        for key in keys.chain(variants.iter().flat_map(|variant| variant.set.keys())) {
            if key != "seed" && !factors.contains(key) {
                factors.push(key.clone());
            }
        }
        let sizes = written.sizes.into_iter().map(|size| Size { name: size.name, why: size.why });
        Experiment {
            name: written.name,
            question: written.question,
            why: written.why,
            metrics: written.metrics,
            size,
            sizes: sizes.collect(),
            base: self.base,
            grid,
            variants,
            factors,
            references: written.references,
            idle,
            text: text.to_owned(),
        }
    }
}
