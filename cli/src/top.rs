//! `slipring top`: what goes on in all named objects, live.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};
use slipring::name::names;
use slipring::observe::Observer;

use crate::failure::Failure;
use crate::seen::{self, Summary, What};

/// Watch the named objects of this machine.
///
/// One line each: how full it is, how many messages per second are sent and taken, who has it, who waits, who holds it.
/// It maps what it looks at for reading only: it cannot disturb anybody.
#[derive(clap::Args)]
#[command(after_help = "\
Keys:
  q, Esc, Ctrl-C  end
  s               sort by the next column: name, depth, rate, waiting
  space           stop the picture, and let it go on

Example:
  slipring top --interval 0.2

Where the output is no terminal, `slipring ls --json` is the thing to use.")]
pub struct Options {
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    interval: f64,
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.05 to 3600 is wanted".to_owned()),
    }
}

/// Watches until the user has enough.
pub fn run(options: &Options) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        let text = "top needs a terminal; use `slipring ls` instead";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut screen = Screen::new(Duration::from_secs_f64(options.interval));
    let mut terminal = ratatui::try_init()?;
    let watched = screen.watch(&mut terminal);
    ratatui::restore();
    watched
}

/// By what the lines are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Name,
    Depth,
    Rate,
    Waiting,
}

impl Order {
    fn next(self) -> Self {
        match self {
            Self::Name => Self::Depth,
            Self::Depth => Self::Rate,
            Self::Rate => Self::Waiting,
            Self::Waiting => Self::Name,
        }
    }
}

/// One line: what is to be seen now, and what has changed since the last look.
struct Item {
    name: String,
    what: What,
    /// Messages per second, sent and taken.
    rates: Option<(f64, f64)>,
}

impl Item {
    fn summary(&self) -> Option<&Summary> {
        match &self.what {
            What::Seen(summary) => Some(summary),
            What::Error(_) => None,
        }
    }
}

/// What was counted at the last look: messages sent and taken, and when.
type Count = (u64, u64, Instant);

/// What is shown.
struct Screen {
    interval: Duration,
    order: Order,
    is_stopped: bool,
    observers: HashMap<String, Observer>,
    counts: HashMap<String, Count>,
    items: Vec<Item>,
}

impl Screen {
    fn new(interval: Duration) -> Self {
        Self {
            interval,
            order: Order::Name,
            is_stopped: false,
            observers: HashMap::new(),
            counts: HashMap::new(),
            items: Vec::new(),
        }
    }

    fn watch(&mut self, terminal: &mut ratatui::DefaultTerminal) -> Result<(), Failure> {
        let mut next = Instant::now();
        loop {
            if !self.is_stopped && Instant::now() >= next {
                self.look(&names()?, Instant::now());
                next = Instant::now() + self.interval;
            }
            terminal.draw(|frame| self.draw(frame))?;
            if event::poll(
                next.saturating_duration_since(Instant::now()).max(Duration::from_millis(20)),
            )? && let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
                && !self.press(key.code, key.modifiers)
            {
                return Ok(());
            }
        }
    }

    /// What a key does. `false`: the user has enough.
    fn press(&mut self, key: KeyCode, modifiers: KeyModifiers) -> bool {
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return false,
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.sort();
            }
            KeyCode::Char(' ') => self.is_stopped = !self.is_stopped,
            _ => {}
        }
        true
    }

    /// Looks at all names.
    fn look(&mut self, names: &[String], now: Instant) {
        self.observers.retain(|name, _| names.contains(name));
        self.counts.retain(|name, _| names.contains(name));
        self.items = names.iter().map(|name| self.item(name, now)).collect();
        self.sort();
    }

    fn item(&mut self, name: &str, now: Instant) -> Item {
        let what = self.summary(name);
        let mut rates = None;
        if let What::Seen(summary) = &what
            && let (Some(sent), Some(depth)) = (summary.sent, summary.depth)
        {
            let taken = sent.saturating_sub(depth);
            rates = self.counts.insert(name.to_owned(), (sent, taken, now)).map(|before| {
                let seconds = now.duration_since(before.2).as_secs_f64().max(1e-3);
                let rate = |now: u64, before| now.saturating_sub(before) as f64 / seconds;
                (rate(sent, before.0), rate(taken, before.1))
            });
        }
        Item { name: name.to_owned(), what, rates }
    }

    /// Looks at one, through the mapping that there is, unless its object has ended.
    fn summary(&mut self, name: &str) -> What {
        if let Some(observer) = self.observers.get(name)
            && let seen @ What::Seen(_) = seen::summary(&observer.look())
        {
            return seen;
        }
        match Observer::open(name) {
            Ok(observer) => {
                let what = seen::summary(&observer.look());
                self.observers.insert(name.to_owned(), observer);
                what
            }
            Err(error) => What::Error(error.to_string()),
        }
    }

    fn sort(&mut self) {
        let order = self.order;
        let number = |item: &Item| match order {
            Order::Name => 0.0,
            Order::Depth => item.summary().and_then(|s| s.depth).unwrap_or(0) as f64,
            Order::Rate => item.rates.map_or(0.0, |(sent, taken)| sent + taken),
            Order::Waiting => item.summary().map_or(0, |s| s.waiting) as f64,
        };
        self.items
            .sort_by(|a, b| number(b).total_cmp(&number(a)).then_with(|| a.name.cmp(&b.name)));
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let areas =
            Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).split(frame.area());
        let stopped = if self.is_stopped { ", stopped" } else { "" };
        let title = format!(
            "slipring: {} names, every {:.1} s, by {:?}{stopped}   q end  s sort  space stop",
            self.items.len(),
            self.interval.as_secs_f64(),
            self.order,
        );
        frame.render_widget(Line::from(title).bold(), areas[0]);
        let heading =
            ["NAME", "KIND", "FULL", "DEPTH", "SENT/s", "TAKEN/s", "USERS", "WAIT", "HOLDERS"];
        let heading = Row::new(heading).style(Style::new().add_modifier(Modifier::REVERSED));
        let widths = [
            Constraint::Fill(3),
            Constraint::Length(16),
            Constraint::Length(10),
            Constraint::Length(18),
            Constraint::Length(9),
            Constraint::Length(9),
            Constraint::Length(7),
            Constraint::Length(4),
            Constraint::Fill(2),
        ];
        let table = Table::new(self.items.iter().map(row), widths).header(heading);
        frame.render_widget(table, areas[1]);
    }
}

fn row(item: &Item) -> Row<'_> {
    let name = Cell::from(item.name.as_str());
    let of = match &item.what {
        What::Seen(summary) => summary,
        // Why takes more room than there is.
        What::Error(_) => {
            let blank = Cell::from("");
            let why = Cell::from("see inspect");
            return Row::new([name, Cell::from("?").fg(Color::Red), blank, why]);
        }
    };
    let rate = |value: Option<f64>| value.map_or_else(String::new, short);
    let full = match (of.depth, of.capacity) {
        (Some(depth), Some(capacity)) if capacity > 0 => bar(depth as f64 / capacity as f64),
        _ => String::new(),
    };
    let users = if of.depth.is_some() {
        format!("{}+{}", of.first, of.second)
    } else {
        of.first.to_string()
    };
    let mut holders: Vec<_> = of.holders.iter().map(u32::to_string).collect();
    if of.dead > 0 {
        holders.push(format!("({} dead)", of.dead));
    }
    let depth =
        if of.depth.is_some() { seen::depth(of.depth, of.capacity) } else { of.state.clone() };
    let color = if of.dead > 0 { Color::Red } else { Color::Reset };
    Row::new([
        name,
        Cell::from(of.kind),
        Cell::from(full),
        Cell::from(depth),
        Cell::from(rate(item.rates.map(|rates| rates.0))),
        Cell::from(rate(item.rates.map(|rates| rates.1))),
        Cell::from(users),
        Cell::from(of.waiting.to_string()),
        Cell::from(holders.join(" ")).fg(color),
    ])
}

/// Eight places, as full as the part says.
fn bar(part: f64) -> String {
    let full = (part.clamp(0.0, 1.0) * 8.0).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(8 - full))
}

/// A number in at most six characters.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.1}G", v / 1e9),
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use slipring::{ByteReceiver, ByteSender, Mutex, Named, OrRecover, QueueOptions};

    fn text(screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(120, 10)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let symbols = buffer.content().iter().map(|cell| cell.symbol());
        symbols.collect::<String>()
    }

    #[test]
    fn depth_rates_and_holders_are_shown() {
        let (jobs, lock) = ("test-top-jobs".to_owned(), "test-top-lock".to_owned());
        let mut tx = ByteSender::create(&jobs, QueueOptions::bounded(8)).unwrap();
        let mut rx = ByteReceiver::open(&jobs).unwrap();
        let mutex = Mutex::create(&lock, 0_u64).unwrap();
        let _guard = mutex.lock().or_recover().unwrap();
        let all = [jobs.clone(), lock.clone(), "test-top-none".to_owned()];
        let mut screen = Screen::new(Duration::from_secs(1));
        let start = Instant::now();
        screen.look(&all, start);
        (0..6).for_each(|_| tx.send(b"x").unwrap());
        (0..2).for_each(|_| drop(rx.recv().unwrap()));
        screen.look(&all, start + Duration::from_secs(2));
        assert_eq!(screen.items[0].rates, Some((3.0, 1.0)));
        let shown = text(&screen);
        assert!(shown.contains("4 of 8") && shown.contains("████░░░░"), "{shown}");
        assert!(shown.contains(&std::process::id().to_string()), "who holds the lock: {shown}");
        assert!(shown.contains("see inspect"), "{shown}");
        assert!(screen.press(KeyCode::Char('s'), KeyModifiers::NONE));
        assert_eq!((screen.order, &*screen.items[0].name), (Order::Depth, &*jobs));
        assert!(!screen.press(KeyCode::Char('c'), KeyModifiers::CONTROL));
    }

    #[test]
    fn an_object_that_ended_and_came_again_is_looked_at_anew() {
        let name = "test-top-again".to_owned();
        let mut screen = Screen::new(Duration::from_secs(1));
        for depth in 1..3_u64 {
            let mut tx = ByteSender::create(&name, QueueOptions::bounded(8)).unwrap();
            (0..depth).for_each(|_| tx.send(b"x").unwrap());
            screen.look(std::slice::from_ref(&name), Instant::now());
            assert_eq!(screen.items[0].summary().unwrap().depth, Some(depth));
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!((short(0.0), short(9999.0)), ("0".into(), "9999".into()));
        assert_eq!((short(12_345.0), short(2.5e6)), ("12.3k".into(), "2.5M".into()));
        assert_eq!((bar(0.5), bar(7.0)), ("████░░░░".into(), "████████".into()));
    }
}
