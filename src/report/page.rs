//! An experiment on one page: question, tables, curves, where the numbers come from. HTML or Markdown, nothing beside it.

use std::fmt::Write;

/// What stands on the page, already rendered.
pub struct Page {
    pub title: String,
    pub question: String,
    pub why: String,
    /// Heading and Markdown table.
    pub tables: Vec<(String, String)>,
    /// Heading and SVG.
    pub figures: Vec<(String, String)>,
    /// What the runs were made with, a line each.
    pub environment: Vec<String>,
    /// The experiment file as it was queued.
    pub experiment: String,
    /// What makes the runs again, a line each.
    pub commands: Vec<String>,
}

impl Page {
    /// Figures are put in as they are; where a viewer does not pass SVG through, the HTML form shows them.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n{}\n\n{}\n", self.title, self.question, self.why);
        for (heading, table) in &self.tables {
            let _ = write!(out, "\n## {heading}\n\n{table}");
        }
        for (heading, svg) in &self.figures {
            let _ = write!(out, "\n## {heading}\n\n{svg}\n");
        }
        let _ = write!(out, "\n## Made with\n\n");
        for line in &self.environment {
            let _ = writeln!(out, "- {line}");
        }
        let _ = write!(
            out,
            "\n{}\n## The experiment\n\n```toml\n{}\n```\n",
            self.commands.iter().map(|line| format!("    {line}\n")).collect::<String>(),
            self.experiment.trim_end()
        );
        out
    }

    pub fn html(&self) -> String {
        let mut out = String::from(HEAD);
        let _ = write!(
            out,
            "<title>{0}</title></head><body><h1>{0}</h1><p class=\"question\">{1}</p><p>{2}</p>",
            escape(&self.title),
            escape(&self.question),
            escape(&self.why)
        );
        for (heading, table) in &self.tables {
            let _ = write!(out, "<h2>{}</h2>{}", escape(heading), html_table(table));
        }
        for (heading, svg) in &self.figures {
            let _ = write!(out, "<h2>{}</h2><figure>{svg}</figure>", escape(heading));
        }
        out.push_str("<h2>Made with</h2><ul>");
        for line in &self.environment {
            let _ = write!(out, "<li>{}</li>", escape(line));
        }
        let _ = writeln!(
            out,
            "</ul><pre>{}</pre><h2>The experiment</h2><pre>{}</pre></body></html>",
            escape(&self.commands.join("\n")),
            escape(self.experiment.trim_end())
        );
        out
    }
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><style>\
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
.question{font-size:1.15rem}table{border-collapse:collapse}td,th{padding:.25rem .8rem;text-align:right;\
border-bottom:1px solid #ddd}th{border-bottom:2px solid #1a1a1a}td:first-child,th:first-child{text-align:left}\
pre{background:#f5f5f5;padding:1rem;overflow-x:auto}figure{margin:0;overflow-x:auto}</style>";

/// The Markdown tables that this program writes, and the paragraphs below them.
fn html_table(markdown: &str) -> String {
    let mut out = String::new();
    let mut rows = 0;
    for line in markdown.lines().map(str::trim).chain([""]) {
        let cells = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|'));
        match cells {
            Some(cells) if cells.chars().all(|c| matches!(c, '-' | ':' | '|' | ' ')) => {}
            Some(cells) => {
                let tag = if rows == 0 { "th" } else { "td" };
                if rows == 0 {
                    out.push_str("<table>");
                }
                out.push_str("<tr>");
                for cell in split(cells) {
                    let _ = write!(out, "<{tag}>{}</{tag}>", bold(&escape(cell.trim())));
                }
                out.push_str("</tr>");
                rows += 1;
            }
            None => {
                if 0 < rows {
                    out.push_str("</table>");
                    rows = 0;
                }
                if !line.is_empty() {
                    let _ = write!(out, "<p>{}</p>", bold(&escape(line)));
                }
            }
        }
    }
    out
}

/// Cells of a row, where `\|` is no border.
fn split(cells: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut before = ' ';
    for c in cells.chars() {
        match c {
            '|' if before != '\\' => out.push(String::new()),
            c => {
                if let Some(last) = out.last_mut() {
                    if c == '|' {
                        last.pop();
                    }
                    last.push(c);
                }
            }
        }
        before = c;
    }
    out
}

fn bold(text: &str) -> String {
    let inner = text.strip_prefix("**").and_then(|rest| rest.strip_suffix("**"));
    inner.map_or_else(|| text.to_owned(), |inner| format!("<strong>{inner}</strong>"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_its_cells_and_nothing_is_taken_for_markup() {
        let table = "| λ | a\\|b |\n|---|---:|\n| <0> | **52.1** |\n\nA note & more.\n";
        let html = html_table(table);
        assert_eq!(
            html,
            "<table><tr><th>λ</th><th>a|b</th></tr><tr><td>&lt;0&gt;</td><td><strong>52.1</strong></td></tr></table>\
             <p>A note &amp; more.</p>"
        );
    }

    #[test]
    fn both_forms_carry_everything() {
        let page = Page {
            title: "proximal".into(),
            question: "Does λ > 0 help?".into(),
            why: "Because.".into(),
            tables: vec![("knn_top1".into(), "| λ |\n|---|\n| 0 |\n".into())],
            figures: vec![("loss".into(), "<svg></svg>".into())],
            environment: vec!["2 threads".into()],
            experiment: "name = \"proximal\"".into(),
            commands: vec!["instdisc-lab run proximal.toml".into()],
        };
        for text in [page.markdown(), page.html()] {
            for part in [
                "proximal",
                "Because.",
                "knn_top1",
                "<svg></svg>",
                "2 threads",
                "run proximal.toml",
            ] {
                assert!(text.contains(part), "{part}");
            }
        }
        assert!(page.html().contains("Does λ &gt; 0 help?"));
    }
}
