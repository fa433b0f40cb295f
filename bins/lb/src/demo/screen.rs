//! What the demo shows: lines that stay, and below them a panel that is drawn over itself. Where standard output is no terminal
//! there is no panel and no escape sequence: one line per second instead.
//!
//! Holds: however the demo ends, the terminal gets its cursor and its line wrap back.

use lb_core::proxy::ServerState;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Columns of the panel: it fits a terminal of 80.
const WIDTH: usize = 79;
/// Length of a full bar, in characters.
const BAR: usize = 16;

/// A server at one moment.
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// What the proxy thinks of it.
    pub state: ServerState,
    /// What its last check found.
    pub check: &'static str,
    /// Streams under way.
    pub now: u32,
    /// Idle connections kept.
    pub idle: u32,
    /// Requests or connections so far.
    pub total: u64,
    /// The same per second, lately.
    pub rate: f64,
}

/// A backend at one moment.
pub struct Group {
    /// Its name.
    pub name: String,
    /// Mode, address, scheduler.
    pub title: String,
    /// What `total` counts.
    pub unit: &'static str,
    /// Its servers.
    pub rows: Vec<Row>,
}

/// Everything at one moment.
pub struct View {
    /// Since the start.
    pub elapsed: Duration,
    /// The backends.
    pub groups: Vec<Group>,
    /// How the demo's clients fare.
    pub clients: String,
    /// The latest log lines, the newest last.
    pub log: Vec<String>,
}

/// What can be shown.
#[derive(Clone, Copy)]
struct Style {
    color: bool,
    unicode: bool,
}

/// Standard output.
pub struct Screen {
    /// Draws a panel.
    live: bool,
    style: Style,
    /// The panel as it stands.
    panel: Vec<String>,
    /// Writing has failed: nobody reads any more.
    closed: bool,
}

impl Screen {
    /// Looks at standard output and the environment (`TERM`, `NO_COLOR`, the character set).
    pub fn new() -> Screen {
        let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let live = io::stdout().is_terminal() && set("TERM").is_some_and(|t| t != "dumb");
        let charset = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
        let style = Style { color: live && set("NO_COLOR").is_none(), unicode: charset.contains("utf-8") || charset.contains("utf8") };
        Screen { live, style, panel: Vec::new(), closed: false }
    }

    /// Has a panel, which wants to be drawn often.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Prints text that stays.
    pub fn print(&mut self, text: &str) {
        let panel = std::mem::take(&mut self.panel);
        let mut frame = self.rewind(panel.len());
        frame.push_str(text);
        if !text.ends_with('\n') {
            frame.push('\n');
        }
        self.panel = panel;
        self.append_panel(&mut frame);
        self.write(&frame);
    }

    /// Prints what has happened, with the time.
    pub fn event(&mut self, elapsed: Duration, kind: Kind, text: &str) {
        let line = format!("{:>6.1}s  {}", elapsed.as_secs_f64(), paint(self.style, kind.color(), text));
        self.print(&line);
    }

    /// Shows how things stand: draws the panel anew, or prints one line.
    pub fn show(&mut self, view: &View) {
        if !self.live {
            return self.print(&status_line(view));
        }
        let mut frame = self.rewind(self.panel.len());
        self.panel = panel(view, self.style);
        self.append_panel(&mut frame);
        self.write(&frame);
    }

    /// Takes the panel away.
    pub fn clear(&mut self) {
        let frame = self.rewind(self.panel.len());
        self.panel.clear();
        self.write(&frame);
    }

    /// To where the panel begins; what stood there is erased.
    fn rewind(&self, lines: usize) -> String {
        if lines == 0 { String::new() } else { format!("\x1b[{lines}A\r\x1b[J") }
    }

    /// No wrapping: a line of the panel is one line of a narrow terminal too.
    fn append_panel(&self, frame: &mut String) {
        if self.panel.is_empty() {
            return;
        }
        frame.push_str("\x1b[?25l\x1b[?7l");
        for line in &self.panel {
            frame.push_str(line);
            frame.push('\n');
        }
        frame.push_str("\x1b[?7h");
    }

    /// In one piece, so that nothing flickers.
    fn write(&mut self, frame: &str) {
        if frame.is_empty() {
            return;
        }
        let mut out = io::stdout().lock();
        self.closed |= out.write_all(frame.as_bytes()).and_then(|()| out.flush()).is_err();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.live {
            self.write("\x1b[?7h\x1b[?25h");
        }
    }
}

/// The color of an event.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Something the demo does.
    Act,
    /// A change for the better.
    Good,
    /// A change for the worse.
    Bad,
}

impl Kind {
    fn color(self) -> &'static str {
        match self {
            Kind::Act => "36",
            Kind::Good => "32",
            Kind::Bad => "1;31",
        }
    }
}

fn paint(style: Style, color: &str, text: &str) -> String {
    if style.color { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The word for a state, and its color.
fn word(state: ServerState) -> (&'static str, &'static str) {
    match state {
        ServerState::Up => ("UP", "32"),
        ServerState::Drain => ("DRAIN", "33"),
        ServerState::Down => ("DOWN", "1;31"),
        ServerState::Maintenance => ("MAINT", "33"),
    }
}

fn panel(view: &View, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let dim = |text: &str| paint(style, "2", text);
    lines.push(dim(&(if style.unicode { "─" } else { "-" }).repeat(WIDTH)));
    for group in &view.groups {
        let name = paint(style, "1", &group.name);
        lines.push(format!("{name} {}", dim(&group.title)));
        let head = format!(
            "  {:<9}{:>6}  {:<6}{:<10}{:>4}{:>6}{:>9}{:>8}",
            "server", "port", "state", "check", "now", "idle", group.unit, "per s"
        );
        lines.push(dim(&head));
        let most = group.rows.iter().map(|r| r.rate).fold(1.0, f64::max);
        for row in &group.rows {
            let (state, color) = word(row.state);
            let state = paint(style, color, &format!("{state:<6}"));
            let length = (row.rate / most * BAR as f64).round() as usize;
            let bar = paint(style, "36", &(if style.unicode { "▆" } else { "#" }).repeat(length.min(BAR)));
            lines.push(format!(
                "  {:<9}{:>6}  {state}{:<10}{:>4}{:>6}{:>9}{:>8.1} {bar}",
                row.name, row.port, row.check, row.now, row.idle, row.total, row.rate
            ));
        }
    }
    lines.extend(view.log.iter().map(|line| dim(&format!("log  {}", line.chars().take(WIDTH - 5).collect::<String>()))));
    lines.push(format!("{:.0} s  {}  Ctrl-C ends", view.elapsed.as_secs_f64().floor(), view.clients));
    lines
}

fn status_line(view: &View) -> String {
    let mut line = format!("{:>6.1}s ", view.elapsed.as_secs_f64());
    for group in &view.groups {
        // Writing to a string cannot fail.
        let _ = write!(line, " {}:", group.name);
        for row in &group.rows {
            let _ = write!(line, " {} {} {:.0}/s", row.name, word(row.state).0, row.rate);
        }
        line.push_str(" |");
    }
    line.push(' ');
    line.push_str(&view.clients);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let row = |name: &str, state, rate| Row {
            name: name.into(),
            port: 65535,
            state,
            check: "SOCKERR",
            now: 2000,
            idle: 12,
            total: 12_345_678,
            rate,
        };
        let rows =
            vec![row("origin1", ServerState::Up, 20.0), row("origin2", ServerState::Down, 0.0), row("origin3", ServerState::Up, 10.0)];
        View {
            elapsed: Duration::from_millis(12_340),
            groups: vec![Group { name: "pages".into(), title: "mode http".into(), unit: "requests", rows }],
            clients: "3 requests".into(),
            log: vec!["a long line ".repeat(20)],
        }
    }

    #[test]
    fn a_panel_of_plain_text_fits_a_terminal() {
        let lines = panel(&view(), Style { color: false, unicode: false });
        assert!(lines.iter().all(|l| l.chars().count() <= WIDTH), "{lines:#?}");
        let bars: Vec<usize> = lines.iter().filter(|l| l.contains("origin")).map(|l| l.matches('#').count()).collect();
        assert_eq!(bars, [BAR, 0, BAR / 2], "as long as the share of the busiest");
        assert!(lines.iter().any(|l| l.contains("origin2") && l.contains("DOWN")));
        assert!(!lines.concat().contains('\x1b'));
    }

    #[test]
    fn one_line_says_it_too() {
        let line = status_line(&view());
        assert_eq!(line, "  12.3s  pages: origin1 UP 20/s origin2 DOWN 0/s origin3 UP 10/s | 3 requests");
    }
}
