//! Collapsed curves of the frames before: a curve that has not grown, in a window that has not moved, is not touched.

use std::collections::HashMap;

use crate::tui::curves::{Series, Smoothed, Span, Window};

#[derive(Default)]
pub struct Cache {
    spans: HashMap<(String, String, bool), Collapsed>,
    smoothed: HashMap<(String, String), (Smoothed, u64)>,
    frame: u64,
}

struct Collapsed {
    points: usize,
    last_step: Option<u64>,
    window: Window,
    columns: usize,
    /// Weight of the smoothing, as bits.
    weight: u64,
    spans: Vec<Span>,
    frame: u64,
}

impl Cache {
    pub fn begin_frame(&mut self) {
        self.frame += 1;
    }

    /// Forgets what the frame at hand did not ask for.
    pub fn end_frame(&mut self) {
        let frame = self.frame;
        self.spans.retain(|_, seen| seen.frame == frame);
        self.smoothed.retain(|_, (_, seen)| *seen == frame);
    }

    /// The smoothed curve, brought up to date.
    pub fn smooth(&mut self, run: &str, metric: &str, raw: &Series, weight: f64) {
        let key = (run.to_owned(), metric.to_owned());
        let (smoothed, frame) = self.smoothed.entry(key).or_insert((Smoothed::new(weight), 0));
        if smoothed.weight() != weight {
            *smoothed = Smoothed::new(weight);
        }
        smoothed.follow(raw);
        *frame = self.frame;
    }

    pub fn smoothed(&self, run: &str, metric: &str) -> Option<&Series> {
        let known = self.smoothed.get(&(run.to_owned(), metric.to_owned()));
        known.map(|(smoothed, _)| smoothed.series())
    }

    /// Brings the spans of a curve (of its smoothed one, where `weight` is above 0) up to date.
    pub fn refresh(
        &mut self,
        run: &str,
        metric: &str,
        raw: &Series,
        weight: f64,
        window: Window,
        columns: usize,
    ) {
        let key = (run.to_owned(), metric.to_owned(), weight > 0.0);
        let (frame, points, last_step) = (self.frame, raw.len(), raw.last_step());
        let fresh = self.spans.get_mut(&key).filter(|seen| {
            (seen.points, seen.last_step, seen.columns) == (points, last_step, columns)
                && (seen.window, seen.weight) == (window, weight.to_bits())
        });
        if let Some(seen) = fresh {
            seen.frame = frame;
            return;
        }
        let series = if weight > 0.0 { self.smoothed(run, metric).unwrap_or(raw) } else { raw };
        let spans = series.collapse(&window, columns);
        let weight = weight.to_bits();
        let seen = Collapsed { points, last_step, window, columns, weight, spans, frame };
        self.spans.insert(key, seen);
    }

    pub fn spans(&self, run: &str, metric: &str, smoothed: bool) -> &[Span] {
        let seen = self.spans.get(&(run.to_owned(), metric.to_owned(), smoothed));
        seen.map_or(&[], |seen| &seen.spans)
    }
}
