//! The screens that tabs lead to, in the order of their digits.

use crate::tui::keys::Scope;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    #[default]
    Runs,
    Charts,
    Ablations,
    Queue,
    Run,
    Images,
    Machine,
}

impl Tab {
    pub const ALL: [Tab; 7] =
        [Tab::Runs, Tab::Charts, Tab::Ablations, Tab::Queue, Tab::Run, Tab::Images, Tab::Machine];

    pub fn title(self) -> &'static str {
        match self {
            Tab::Runs => "Runs",
            Tab::Charts => "Charts",
            Tab::Ablations => "Ablations",
            Tab::Queue => "Queue",
            Tab::Run => "Run",
            Tab::Images => "Images",
            Tab::Machine => "Machine",
        }
    }

    pub fn scope(self) -> Scope {
        match self {
            Tab::Runs => Scope::Runs,
            Tab::Charts => Scope::Charts,
            Tab::Ablations => Scope::Ablations,
            Tab::Queue => Scope::Queue,
            Tab::Run => Scope::Run,
            Tab::Images => Scope::Images,
            Tab::Machine => Scope::Machine,
        }
    }

    pub fn index(self) -> usize {
        Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }

    /// The screen `by` places further round.
    pub fn turned(self, by: isize) -> Self {
        let n = Self::ALL.len() as isize;
        Self::ALL[(self.index() as isize + by).rem_euclid(n) as usize]
    }
}
