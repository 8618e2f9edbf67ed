//! Everything that a key can mean, and where it is read.

use crate::report::raster::Kind;
use crate::report::table::Format;

/// What a person asks for. A screen takes those that mean something to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // Moving.
    Down,
    Up,
    Left,
    Right,
    FarLeft,
    FarRight,
    HalfPageDown,
    HalfPageUp,
    PageDown,
    PageUp,
    First,
    Last,
    // From screen to screen.
    Tab(usize),
    NextTab,
    PreviousTab,
    /// Into what is under the cursor.
    Open,
    Back,
    // Choosing what is seen.
    Mark,
    MarkShown,
    ClearMarks,
    Filter,
    SavedFilters,
    SaveFilter,
    Sort,
    ReverseSort,
    Columns,
    ColumnLeft,
    ColumnRight,
    Group,
    Baseline,
    NextMetric,
    PreviousMetric,
    Zoom,
    // Charts.
    ZoomIn,
    ZoomOut,
    ZoomAll,
    PanLeft,
    PanRight,
    Smoother,
    Rougher,
    LogX,
    LogY,
    Axis,
    Band,
    References,
    ToBest,
    ToLowest,
    ToHighest,
    ToGap,
    ToResume,
    // Ablations.
    NextExperiment,
    PreviousExperiment,
    LastOrBest,
    Interim,
    Across,
    Slice,
    Copy(Format),
    Save(Format),
    /// Into a file, as a figure.
    Draw(Kind),
    // One run.
    Inspect,
    NextRun,
    PreviousRun,
    Search,
    NextMatch,
    PreviousMatch,
    Follow,
    CopyCard,
    CopyId,
    CopyPath,
    // Images.
    Map,
    /// Principal components or t-SNE.
    Method,
    /// Dots or marks.
    Marks,
    NextOrder,
    NextClass,
    PreviousClass,
    Refresh,
    // Doing something to runs.
    Queue,
    Clone,
    Pause,
    Resume,
    Cancel,
    Archive,
    Remove,
    Tag,
    Note,
    Undo,
    // The queue.
    Earlier,
    Later,
    ToFront,
    AddWorker,
    Drain,
    DrainAll,
    // Layers.
    Yes,
    No,
    Toggle,
    Edit,
    NextSize,
    PreviousSize,
    EditForm,
    ChooseRuns,
    ToggleAll,
    SavePlan,
    Accept,
    Complete,
    EraseChar,
    EraseNext,
    EraseWord,
    EraseAll,
    LineStart,
    LineEnd,
    // The program.
    Help,
    Palette,
    ToAlert,
    Hush,
    Freeze,
    Theme,
    Mouse,
    Notify,
    Quit,
    Redraw,
    Suspend,
}

/// Where a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Anywhere,
    /// Any screen that no layer covers.
    Screen,
    Runs,
    Charts,
    Ablations,
    Queue,
    Run,
    Images,
    Machine,
    /// A line of text.
    Typing,
    Filter,
    Palette,
    Help,
    Choose,
    Picker,
    Form,
    Confirm,
}

impl Scope {
    pub const ALL: [Scope; 17] = [
        Scope::Anywhere,
        Scope::Screen,
        Scope::Runs,
        Scope::Charts,
        Scope::Ablations,
        Scope::Queue,
        Scope::Run,
        Scope::Images,
        Scope::Machine,
        Scope::Typing,
        Scope::Filter,
        Scope::Palette,
        Scope::Help,
        Scope::Choose,
        Scope::Picker,
        Scope::Form,
        Scope::Confirm,
    ];

    /// Scopes whose keys hold here too, unless this one has the key.
    pub fn inherits(self) -> &'static [Scope] {
        match self {
            Scope::Anywhere => &[],
            Scope::Runs
            | Scope::Charts
            | Scope::Ablations
            | Scope::Queue
            | Scope::Run
            | Scope::Images
            | Scope::Machine => &[Scope::Screen, Scope::Anywhere],
            Scope::Filter | Scope::Palette | Scope::Help => &[Scope::Typing, Scope::Anywhere],
            _ => &[Scope::Anywhere],
        }
    }

    /// As a key file and the help page write it.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Anywhere => "anywhere",
            Scope::Screen => "screens",
            Scope::Runs => "runs",
            Scope::Charts => "charts",
            Scope::Ablations => "ablations",
            Scope::Queue => "queue",
            Scope::Run => "run",
            Scope::Images => "images",
            Scope::Machine => "machine",
            Scope::Typing => "typing",
            Scope::Filter => "filter",
            Scope::Palette => "palette",
            Scope::Help => "help",
            Scope::Choose => "choose",
            Scope::Picker => "picker",
            Scope::Form => "form",
            Scope::Confirm => "confirm",
        }
    }
}
