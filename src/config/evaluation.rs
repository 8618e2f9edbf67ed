//! The evaluations that can be asked of a finished run, by name.

/// What can be measured of an encoder from a checkpoint, without training it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evaluation {
    Knn,
    Svm,
    Linear,
    Layers,
    Retrieval,
    Diagnostics,
}

impl Evaluation {
    pub const ALL: [Evaluation; 6] = [
        Evaluation::Knn,
        Evaluation::Svm,
        Evaluation::Linear,
        Evaluation::Layers,
        Evaluation::Retrieval,
        Evaluation::Diagnostics,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Evaluation::Knn => "knn",
            Evaluation::Svm => "svm",
            Evaluation::Linear => "linear",
            Evaluation::Layers => "layers",
            Evaluation::Retrieval => "retrieval",
            Evaluation::Diagnostics => "diagnostics",
        }
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
                "alignment, uniformity, RankMe, spread, age of the memory bank"
            }
        }
    }

    pub fn named(name: &str) -> Option<Evaluation> {
        Evaluation::ALL.into_iter().find(|it| it.name() == name)
    }
}
