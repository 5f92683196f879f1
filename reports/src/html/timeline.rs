//! What happened in a case, as a drawing with one lane for each of those involved, and as text.

use std::fmt::Write as _;

use crate::model::timeline::{Lane, Span, Timeline, Tone};

use super::{escape, escape_sentence};

/// Width of the drawing, of the column with the names of the lanes, and of the room on the right for what goes on.
const WIDTH: u64 = 760;
const NAMES: u64 = 90;
const RIGHT: u64 = 14;
/// Height of a row, and of a bar in it.
const ROW: usize = 22;
const BAR: usize = 16;
/// Height of the axis.
const AXIS: usize = 22;
/// Most rows of one lane; what would need more is drawn over the last one.
const ROWS_MAX: usize = 7;
/// Most bars, and most moments, that are drawn.
const DRAWN_MAX: usize = 40;
/// Width that a letter takes, about.
const LETTER: u64 = 6;

/// Patterns, so that what is left and what is waited for can be told apart without colours. Once for all drawings.
pub(super) const PATTERNS: &str = "<svg class=\"defs\" aria-hidden=\"true\"><defs>\
<pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<line class=\"hatch-line\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern>\
<pattern id=\"dots\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
<circle class=\"dot\" cx=\"3\" cy=\"3\" r=\"1.2\"/></pattern></defs></svg>";

/// A bar and its label, each in its place.
struct Bar<'timeline> {
    span: &'timeline Span,
    from: u64,
    to: u64,
    label: String,
    /// Where the label is anchored, and how; `None`: there is no room for it.
    anchor: Option<(u64, &'static str)>,
    /// From where to where there is ink.
    extent: (u64, u64),
}

/// One lane with its bars in rows.
struct Drawn<'timeline> {
    lane: Lane,
    rows: Vec<Vec<Bar<'timeline>>>,
    moments: usize,
}

/// The drawing, and the same as a list. `check` is the one whose evidence is marked.
pub(super) fn markup(timeline: &Timeline, check: &str) -> String {
    let mut text = format!(
        "<h3>What happened in <code>{}</code></h3>\n",
        escape(&timeline.case)
    );
    if !timeline.about.is_empty() {
        let _ = writeln!(text, "<p>{}</p>", escape_sentence(&timeline.about));
    }
    let lanes = lanes(timeline);
    let rows: usize = lanes.iter().map(height).sum();
    let height = AXIS + rows * ROW + 4;
    let _ = writeln!(
        text,
        "<div class=\"timeline\" tabindex=\"0\" role=\"region\" aria-label=\"Timeline\"><svg viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"Timeline; the same as text is below\">"
    );
    axis(&mut text, timeline, height);
    let mut top = AXIS;
    for lane in &lanes {
        draw_lane(&mut text, timeline, lane, top);
        top += self::height(lane) * ROW;
    }
    for marked in timeline
        .marked
        .iter()
        .filter(|marked| marked.check == check)
        .take(1)
    {
        let (from, to) = (x(timeline, marked.from_us), x(timeline, marked.to_us));
        let _ = writeln!(
            text,
            "<rect class=\"marked\" x=\"{from}\" y=\"{AXIS}\" width=\"{}\" height=\"{}\"><title>what shows the finding</title></rect>",
            (to - from).max(4),
            height - AXIS - 2
        );
    }
    text.push_str("</svg></div>\n");
    as_text(&mut text, timeline);
    text
}

fn height(lane: &Drawn<'_>) -> usize {
    lane.rows.len() + usize::from(lane.moments > 0)
}

fn lanes(timeline: &Timeline) -> Vec<Drawn<'_>> {
    let mut lanes = Vec::new();
    for lane in Lane::ALL {
        let mut spans: Vec<&Span> = timeline
            .spans
            .iter()
            .filter(|span| span.lane == *lane)
            .collect();
        spans.sort_by_key(|span| span.from_us);
        let mut rows: Vec<Vec<Bar<'_>>> = Vec::new();
        for span in spans.into_iter().take(DRAWN_MAX) {
            let bar = Bar::of(timeline, span);
            let free = |row: &Vec<Bar<'_>>| row.iter().all(|other| other.is_apart_from(&bar));
            match rows.iter().position(free) {
                Some(row) => rows[row].push(bar),
                None if rows.len() < ROWS_MAX => rows.push(vec![bar]),
                None => {
                    if let Some(last) = rows.last_mut() {
                        last.push(bar);
                        // Labels would be drawn over each other.
                        for bar in last.iter_mut() {
                            bar.anchor = None;
                        }
                    }
                }
            }
        }
        let moments = timeline
            .moments
            .iter()
            .filter(|moment| moment.lane == *lane)
            .count();
        if !rows.is_empty() || moments > 0 {
            lanes.push(Drawn {
                lane: *lane,
                rows,
                moments,
            });
        }
    }
    lanes
}

impl<'timeline> Bar<'timeline> {
    fn of(timeline: &Timeline, span: &'timeline Span) -> Self {
        let from = x(timeline, span.from_us);
        let to = span
            .to_us
            .map_or(WIDTH - 2, |to| x(timeline, to))
            .max(from + 3);
        let label = format!("{}{}", tone(span.tone).1, shortened(&span.label));
        let length = label_width(&label);
        // Inside, behind or before the bar, wherever there is room.
        let (anchor, extent) = if to - from >= length {
            ((from + 4, "start"), (from, to))
        } else if to + length <= WIDTH {
            ((to + 4, "start"), (from, to + length))
        } else {
            (
                (from.saturating_sub(4), "end"),
                (from.saturating_sub(length), to),
            )
        };
        Self {
            span,
            from,
            to,
            label,
            anchor: Some(anchor),
            extent,
        }
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        self.extent.1 < other.extent.0 || other.extent.1 < self.extent.0
    }
}

fn label_width(label: &str) -> u64 {
    u64::try_from(shortened(label).chars().count()).unwrap_or(0) * LETTER + 6
}

/// A label that fits into a drawing; the whole one is in its title and in the text.
fn shortened(label: &str) -> String {
    /// Most letters.
    const LETTERS_MAX: usize = 34;
    if label.chars().count() <= LETTERS_MAX {
        return label.to_owned();
    }
    let beginning: String = label.chars().take(LETTERS_MAX - 1).collect();
    format!("{beginning}…")
}

fn x(timeline: &Timeline, at_us: u64) -> u64 {
    let end = timeline.end_us.max(1);
    NAMES + at_us.min(end).saturating_mul(WIDTH - NAMES - RIGHT) / end
}

/// `12 ms`, `3.4 s`.
fn time(at_us: u64) -> String {
    match at_us {
        0..10_000 => format!("{}.{} ms", at_us / 1_000, at_us % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", at_us / 1_000),
        _ => format!("{}.{} s", at_us / 1_000_000, at_us % 1_000_000 / 100_000),
    }
}

fn axis(text: &mut String, timeline: &Timeline, height: usize) {
    /// Parts of the axis.
    const PARTS: u64 = 4;
    for part in 0..=PARTS {
        let at = timeline.end_us * part / PARTS;
        let x = x(timeline, at);
        let anchor = match part {
            0 => "start",
            PARTS => "end",
            _ => "middle",
        };
        let _ = writeln!(
            text,
            "<line class=\"rule\" x1=\"{x}\" x2=\"{x}\" y1=\"{AXIS}\" y2=\"{height}\"/>\
             <text x=\"{x}\" y=\"14\" text-anchor=\"{anchor}\">{}</text>",
            time(at)
        );
    }
}

fn draw_lane(text: &mut String, timeline: &Timeline, lane: &Drawn<'_>, top: usize) {
    let name = match lane.lane {
        Lane::Driver => "driver calls",
        other => other.name(),
    };
    let _ = writeln!(
        text,
        "<line class=\"rule\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{top}\" y2=\"{top}\"/>\
         <text class=\"lane\" x=\"4\" y=\"{}\">{name}</text>",
        top + 15
    );
    for (row, bars) in lane.rows.iter().enumerate() {
        for bar in bars {
            draw_bar(text, bar, top + row * ROW + 3);
        }
    }
    let top = top + lane.rows.len() * ROW;
    let mut free = NAMES;
    let moments = timeline
        .moments
        .iter()
        .filter(|moment| moment.lane == lane.lane);
    for moment in moments.take(DRAWN_MAX) {
        let x = x(timeline, moment.at_us);
        let title = escape(&format!("{} {}", time(moment.at_us), moment.label));
        let _ = writeln!(
            text,
            "<g><title>{title}</title><path class=\"mark\" d=\"M{x} {} l-4 -8 h8 z\"/>",
            top + 15
        );
        // A label only where the one before has ended: the text below has them all.
        if x >= free {
            let label = shortened(&moment.label);
            let right = x + label_width(&label) > WIDTH;
            let (at, anchor) = if right {
                (x.saturating_sub(6), "end")
            } else {
                (x + 6, "start")
            };
            let _ = write!(
                text,
                "<text x=\"{at}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                top + 14,
                escape(&label)
            );
            free = x + label_width(&label);
        }
        text.push_str("</g>\n");
    }
}

fn draw_bar(text: &mut String, bar: &Bar<'_>, top: usize) {
    let _ = write!(
        text,
        "<g><title>{}</title><rect class=\"{}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{BAR}\" rx=\"2\"/>",
        escape(&described(bar.span)),
        tone(bar.span.tone).0,
        bar.from,
        bar.to - bar.from,
    );
    if let Some((at, anchor)) = bar.anchor {
        let _ = write!(
            text,
            "<text x=\"{at}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            top + 12,
            escape(&bar.label)
        );
    }
    text.push_str("</g>\n");
}

fn tone(tone: Tone) -> (&'static str, &'static str) {
    match tone {
        Tone::Plain => ("plain", ""),
        Tone::Failed => ("failed", "✗ "),
        Tone::Ended => ("ended", "■ "),
        Tone::Leak => ("leak", "⚠ "),
        Tone::Gap => ("gap", "… "),
    }
}

fn described(span: &Span) -> String {
    let to = span.to_us.map_or_else(
        || "still there at the end".to_owned(),
        |to| format!("to {}", time(to)),
    );
    format!("{} {to}: {}", time(span.from_us), span.label)
}

/// Everything in the order of time.
fn as_text(text: &mut String, timeline: &Timeline) {
    let spans = timeline.spans.iter().map(|span| {
        (
            span.from_us,
            span.lane,
            span.job,
            format!("{}{}", tone(span.tone).1, described(span)),
        )
    });
    let moments = timeline.moments.iter().map(|moment| {
        (
            moment.at_us,
            moment.lane,
            moment.job,
            format!("{} {}", time(moment.at_us), moment.label),
        )
    });
    let mut lines: Vec<(u64, Lane, usize, String)> = spans.chain(moments).collect();
    lines.sort_by_key(|(at, ..)| *at);
    let left_out = lines.len().saturating_sub(2 * DRAWN_MAX) + timeline.left_out;
    let several = lines.iter().any(|(_, _, job, _)| *job > 0);
    text.push_str("<details><summary>The same as text</summary><ol>\n");
    for (_, lane, job, line) in lines.into_iter().take(2 * DRAWN_MAX) {
        let job = if several {
            format!(" of job {}", job + 1)
        } else {
            String::new()
        };
        let _ = writeln!(text, "<li><code>{lane}{job}</code> {}</li>", escape(&line));
    }
    text.push_str("</ol>");
    if left_out > 0 {
        let _ = write!(text, "<p>{left_out} more are left out.</p>");
    }
    text.push_str("</details>\n");
}
