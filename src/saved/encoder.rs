//! The encoder as other programs load it: torchvision's names, nothing else in the file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{Array, Saved, SavedError};

/// Added to a variance before its root, as in training.
const EPS: f32 = 1e-5;

/// The encoder of a checkpoint as safetensors, with `notes` in the header. Parameters and batch statistics carry
/// torchvision's names; batch normalisation after the head, which torchvision has not, is folded into it, so that its
/// output has only to be brought to length 1 to be the embedding; the header says which layer that is.
///
/// # Errors
/// The checkpoint lacks a tensor or one is of another shape.
pub fn encoder(saved: &Saved, notes: HashMap<String, String>) -> Result<Vec<u8>, SavedError> {
    let mut arrays = network(saved)?;
    let head = fold(saved, &mut arrays)?;
    let mut notes = notes;
    notes.insert("embedding".to_owned(), format!("the output of {head}, scaled to length 1"));
    serialise(&saved.path, &arrays, notes)
}

/// Weights and batch statistics of the network alone, under torchvision's names.
pub(super) fn network(saved: &Saved) -> Result<BTreeMap<String, Array>, SavedError> {
    let mut arrays = saved.under("model.")?;
    // Weights of an objective are declared beside those of the network.
    arrays.retain(|name, _| !name.starts_with("objective."));
    if arrays.is_empty() {
        return Err(SavedError::Bare { path: saved.path.clone() });
    }
    Ok(arrays)
}

/// As safetensors, with `notes` in the header; `path` is the checkpoint they come from.
pub(super) fn serialise(
    path: &Path,
    arrays: &BTreeMap<String, Array>,
    notes: HashMap<String, String>,
) -> Result<Vec<u8>, SavedError> {
    let bytes: BTreeMap<&String, Vec<u8>> =
        arrays.iter().map(|(name, array)| (name, array.bytes())).collect();
    let damaged = |why: String| SavedError::Damaged { path: path.to_owned(), why };
    let view = |(name, array): (&String, &Array)| {
        let view = TensorView::new(Dtype::F32, array.shape.clone(), &bytes[name]);
        view.map(|view| (name.clone(), view)).map_err(|e| damaged(e.to_string()))
    };
    let views = arrays.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let mut header = notes;
    // What transformers and timm look for.
    header.insert("format".to_owned(), "pt".to_owned());
    safetensors::serialize(views, Some(header)).map_err(|e| damaged(e.to_string()))
}

/// Batch normalisation after the head goes into its weights: W ← W/σ and b ← (b − μ)/σ. The head's name.
fn fold(saved: &Saved, arrays: &mut BTreeMap<String, Array>) -> Result<&'static str, SavedError> {
    // Of ResNets, and of AlexNet and VGG; of a head of two layers the last.
    let heads = ["fc", "classifier.6", "fc.2", "classifier.6.2"];
    let missing = |name: String| SavedError::Unknown {
        path: saved.path.clone(),
        name,
        known: "those of another network".to_owned(),
    };
    let head = heads.into_iter().find(|head| arrays.contains_key(&format!("{head}.weight")));
    let head = head.ok_or_else(|| missing("fc.weight".to_owned()))?;
    let statistics =
        ["head_norm.running_mean", "head_norm.running_var"].map(|name| arrays.remove(name));
    let [Some(mean), Some(var)] = statistics else { return Ok(head) };
    let width = mean.numbers.len().max(1);
    let mut part = |part: &str| {
        let name = format!("{head}.{part}");
        arrays.remove(&name).map(|array| (name.clone(), array)).ok_or_else(|| missing(name))
    };
    let ((of_weight, mut weight), (of_bias, mut bias)) = (part("weight")?, part("bias")?);
    let columns = weight.numbers.len() / width;
    for (row, var) in weight.numbers.chunks_exact_mut(columns.max(1)).zip(&var.numbers) {
        row.iter_mut().for_each(|w| *w /= (var + EPS).sqrt());
    }
    for ((b, mean), var) in bias.numbers.iter_mut().zip(&mean.numbers).zip(&var.numbers) {
        *b = (*b - mean) / (var + EPS).sqrt();
    }
    arrays.extend([(of_weight, weight), (of_bias, bias)]);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;
    use crate::saved::tests::checkpoint;

    #[test]
    fn batch_norm_is_folded_and_nothing_but_the_network_is_in_the_file() {
        for head in ["fc", "classifier.6", "fc.2"] {
            folded(head);
        }
    }

    fn folded(head: &str) {
        let (weight, bias) = (format!("{head}.weight"), format!("{head}.bias"));
        let dir = tempfile::tempdir().unwrap();
        let run = checkpoint(
            dir.path(),
            1,
            &[
                ("bank", &[1, 2], &[1.0, 0.0]),
                ("momentum.fc.bias", &[2], &[9.0, 9.0]),
                ("model.objective.weight", &[1, 2], &[9.0, 9.0]),
                (&format!("model.{weight}"), &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
                (&format!("model.{bias}"), &[2], &[1.0, 5.0]),
                ("model.head_norm.running_mean", &[2], &[0.5, 1.0]),
                ("model.head_norm.running_var", &[2], &[4.0, 0.25]),
            ],
        );
        let saved = Saved::open(&run, None).unwrap();
        let notes = HashMap::from([("run".to_owned(), "x-1".to_owned())]);
        let file = encoder(&saved, notes).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let mut names = tensors.names();
        names.sort();
        assert_eq!(names, [&bias, &weight]);
        // For the input (1, 1, 1): fc gives 7 and 20, the normalisation (7 − ½)/2 and (20 − 1)/½.
        let numbers = |name: &str| -> Vec<f32> {
            let bytes = tensors.tensor(name).unwrap().data();
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let (w, b) = (numbers(&weight), numbers(&bias));
        let out: Vec<f32> =
            w.chunks_exact(3).zip(&b).map(|(row, b)| row.iter().sum::<f32>() + b).collect();
        assert!((out[0] - 3.25).abs() < 1e-3 && (out[1] - 38.0).abs() < 2e-3, "{out:?}");
        let (_, header) = SafeTensors::read_metadata(&file).unwrap();
        let notes = header.metadata().as_ref().unwrap();
        assert_eq!(notes["run"], "x-1");
        assert!(notes["embedding"].starts_with(&format!("the output of {head}, ")));
    }
}
