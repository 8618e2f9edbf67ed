//! The evaluations that can be asked of a finished run, by name.

use serde::{Deserialize, Serialize};

/// What can be measured of an encoder from a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evaluation {
    Knn,
    Svm,
    Linear,
    Layers,
    Retrieval,
    Diagnostics,
    Finetune,
}

/// Of [`Evaluation::ALL`], in that order.
pub const NAMES: [&str; 7] =
    ["knn", "svm", "linear", "layers", "retrieval", "diagnostics", "finetune"];

impl Evaluation {
    pub const ALL: [Evaluation; 7] = [
        Evaluation::Knn,
        Evaluation::Svm,
        Evaluation::Linear,
        Evaluation::Layers,
        Evaluation::Retrieval,
        Evaluation::Diagnostics,
        Evaluation::Finetune,
    ];

    /// Without being told otherwise: everything that trains no network.
    pub fn usual() -> impl Iterator<Item = Evaluation> {
        Evaluation::ALL.into_iter().filter(|&it| it != Evaluation::Finetune)
    }

    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// What it measures, in one line.
    pub fn help(self) -> &'static str {
        match self {
            Evaluation::Knn => {
                "weighted k-NN over a grid of k and τ, by class, and the confusion matrix"
            }
            Evaluation::Svm => "linear SVM on the embedding and on the pooled features",
            Evaluation::Linear => "logistic regression on the embedding and on the pooled features",
            Evaluation::Layers => "logistic regression on the feature maps of conv1 to conv5",
            Evaluation::Retrieval => "Recall@K and clustering NMI within the test images",
            Evaluation::Diagnostics => {
                "alignment, uniformity, RankMe, spread, similarities of views, age of the memory bank"
            }
            Evaluation::Finetune => {
                "the network fine-tuned on 1, 2, 5, 10 and 20 % of the labels, 70 epochs each"
            }
        }
    }

    pub fn named(name: &str) -> Option<Evaluation> {
        Evaluation::ALL.into_iter().find(|it| it.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_files_hold() {
        for evaluation in Evaluation::ALL {
            assert_eq!(serde_json::to_value(evaluation).unwrap(), evaluation.name());
            assert_eq!(Evaluation::named(evaluation.name()), Some(evaluation));
        }
    }
}
