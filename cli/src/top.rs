//! `slipring top`: what goes on in all named objects, live. `picture.rs` makes the lines, for a terminal of any width.

mod picture;

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::Stylize;
use ratatui::text::{Line, Text};
use slipring::name::names;
use slipring::observe::Observer;

use self::picture::Item;
use crate::failure::Failure;
use crate::help::laid_out;
use crate::seen::{self, What};

/// Watch the named objects of this machine.
///
/// One line each: how full it is, how many messages per second are sent and taken, who has it, who waits, who holds it.
/// It maps what it looks at for reading only: it cannot disturb anybody.
#[derive(clap::Args)]
#[command(after_help = laid_out(AFTER_HELP))]
pub struct Options {
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    interval: f64,
}

const AFTER_HELP: &str = "\
Keys:
  q, Esc, Ctrl-C      end
  s                   sort by the next column: name, depth, rate, waiting
  space               stop the picture, and let it go on
  arrows, PgUp, PgDn  the names that there was no room for

Columns:
  NAME     in quotes, as a shell takes it, where it has other than plain letters in it
  FULL     how full it is
  DEPTH    messages in it, and the most that it holds; of other objects their state
  SENT/s   messages per second; TAKEN/s likewise
  USERS    processes that have a handle; of a queue those that send + those that receive
  WAIT     threads that sleep on it, as far as this user may know
  HOLDERS  processes that hold it, and how many are dead
  A narrow terminal has fewer: name, holders and depth stay longest.

Example:
  slipring top --interval 0.2

Where the output is no terminal, `slipring ls --json` is the thing to use.

Exit codes:
  0  the user had enough
  1  the directory of names cannot be read, or the terminal is gone
  2  wrong usage, or no terminal";

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

    fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Depth => "depth",
            Self::Rate => "rate",
            Self::Waiting => "waiting",
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
    /// The first item on the screen, and how many there is room for.
    first: usize,
    page: usize,
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
            first: 0,
            page: 1,
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
            // Drawing sees to it that they are not behind the end.
            KeyCode::Down => self.first = self.first.saturating_add(1),
            KeyCode::Up => self.first = self.first.saturating_sub(1),
            KeyCode::PageDown => self.first = self.first.saturating_add(self.page),
            KeyCode::PageUp => self.first = self.first.saturating_sub(self.page),
            KeyCode::End => self.first = usize::MAX,
            KeyCode::Home => self.first = 0,
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

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let [title, table] =
            Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(frame.area());
        self.page = usize::from(table.height.saturating_sub(1)).max(1);
        self.first = self.first.min(self.items.len().saturating_sub(self.page));
        let shown = &self.items[self.first..];
        let shown = &shown[..shown.len().min(self.page)];
        let width = usize::from(frame.area().width);
        frame.render_widget(Line::from(self.title(shown.len(), width)).bold(), title);
        frame.render_widget(Text::from(picture::lines(shown, width)), table);
    }

    /// What stands above: as much of it as there is room for, the first things first.
    fn title(&self, shown: usize, width: usize) -> String {
        let mut title = format!("slipring: {} names", self.items.len());
        let part = (shown < self.items.len())
            .then(|| format!(", {}-{} shown", self.first + 1, self.first + shown));
        let parts = [
            part,
            self.is_stopped.then(|| ", stopped".to_owned()),
            Some(format!(", by {}", self.order.name())),
            Some(format!(", every {:.1} s", self.interval.as_secs_f64())),
            Some("   q end  s sort  space stop".to_owned()),
        ];
        for part in parts.into_iter().flatten() {
            if title.len() + part.len() <= width {
                title += &part;
            }
        }
        title
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use slipring::{ByteReceiver, ByteSender, Mutex, Named, OrRecover, QueueOptions};

    fn lines(screen: &mut Screen, columns: u16, rows: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let line =
            |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect();
        buffer.content().chunks(columns.into()).map(line).collect()
    }

    fn text(screen: &mut Screen) -> String {
        lines(screen, 120, 10).concat()
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
        let shown = text(&mut screen);
        assert!(shown.contains("4 of 8") && shown.contains("████░░░░"), "{shown}");
        assert!(shown.contains(&std::process::id().to_string()), "who holds the lock: {shown}");
        assert!(shown.contains("?  nothing is called"), "{shown}");
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
    fn at_every_width_there_is_what_matters() {
        let name = format!("test-top-width-{}", std::process::id());
        let mutex = Mutex::create(&name, 0_u64).unwrap();
        let _guard = mutex.lock().or_recover().unwrap();
        let long = format!("test-top-width-\u{202e}{}", "x".repeat(90));
        let mut screen = Screen::new(Duration::from_secs(1));
        screen.look(&[name.clone(), long], Instant::now());
        let me = std::process::id().to_string();
        for columns in [20, 30, 40, 60, 80, 81, 120, 250] {
            let lines = lines(&mut screen, columns, 24);
            let shown = lines.join("\n");
            assert!(lines[0].starts_with("slipring: 2 names"), "{shown}");
            assert!(lines[1].starts_with("NAME ") && lines[1].contains("HOLDERS"), "{shown}");
            assert!(lines[2].contains(&me), "{shown}");
            let whole = if columns < 80 { &name[..8] } else { &name };
            assert!(lines[2].starts_with(whole), "{shown}");
            assert_eq!(lines[1].contains("DEPTH"), columns >= 30, "{shown}");
            assert!(lines[1].contains("KIND") || columns < 40, "{shown}");
            assert!(!lines[1].contains("FULL"), "nothing has a depth: {shown}");
        }
    }

    #[test]
    fn names_that_have_no_room_are_a_key_away() {
        let names: Vec<_> = (10..60).map(|number| format!("test-top-none-{number}")).collect();
        let mut screen = Screen::new(Duration::from_secs(1));
        screen.look(&names, Instant::now());
        let first = |screen: &mut Screen| {
            let lines = lines(screen, 80, 12);
            assert!(lines[0].contains("50 names") && lines[0].contains("shown"), "{}", lines[0]);
            lines[2].split_whitespace().next().unwrap().to_owned()
        };
        let mut press = |key, then: &str| {
            assert!(screen.press(key, KeyModifiers::NONE));
            assert_eq!(first(&mut screen), format!("test-top-none-{then}"));
        };
        press(KeyCode::Home, "10");
        press(KeyCode::Down, "11");
        press(KeyCode::PageDown, "21");
        press(KeyCode::End, "50");
        press(KeyCode::Down, "50");
        press(KeyCode::PageUp, "40");
        press(KeyCode::Up, "39");
    }
}
