//! Measures the engine: `cargo bench --bench engine`, `-- --quick` for one to two minutes, `-- --help` for all options.
//!
//! The contenders take turns on one server, each in empty databases: pgmq alone, the upper bound of any engine on pgmq, the
//! official 0.8.1 and flowsmith's engine. Handlers do nothing, so that only the engine is measured. After each measurement the
//! counts of runs, tasks and messages are checked, so that unfinished work does not pass for speed. Prints the medians of the
//! rounds, their spread, and ratios beside their targets; asserts no times.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints its figures")]

mod args;
mod contender;
mod flow;
mod functions;
mod history;
mod last;
#[expect(clippy::unwrap_used, reason = "as in the tests, whose file it is")]
#[path = "../../tests/it/fixture/official.rs"]
mod official;
mod process;
mod server;
mod shape;
mod sql;
mod start;
mod table;

use clap::Parser as _;

use args::{Args, Scenario};
use contender::Contender;
use process::Measured;
use server::Place;
use table::{Goal, Key, Metric, Table};

fn main() {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let place = Place::open(&args).await;
        let contenders = contenders(&place, &args).await;
        let mut table = Table::default();
        let load_before = load();
        for round in 0..args.rounds() {
            for scenario in args.scenarios() {
                // Each round starts with another contender.
                let mut contenders = contenders.clone();
                let first = round % contenders.len().max(1);
                contenders.rotate_left(first);
                for contender in contenders {
                    measure(&place, &args, scenario, contender, &mut table).await;
                }
            }
            eprintln!("round {} of {}", round + 1, args.rounds());
        }
        println!(
            "PostgreSQL {}, synchronous_commit {}, events {}, {} workers, batches of {}, about {} tasks, {} rounds",
            place.version,
            args.synchronous_commit,
            args.events,
            args.workers,
            args.batch,
            args.tasks(),
            args.rounds()
        );
        println!("load of the machine: {load_before} before, {} after (averages of a minute)", load());
        for scenario in args.scenarios() {
            report(&table, &args, scenario);
        }
        place.close();
    });
}

/// The requested contenders. Those that lack functions are reported and left out.
async fn contenders(place: &Place, args: &Args) -> Vec<Contender> {
    let mut contenders = Vec::new();
    for contender in args.contenders() {
        let lacks = place.lacks(contender).await;
        if lacks.is_empty() {
            contenders.push(contender);
        } else {
            eprintln!("left out: {}, whose engine lacks {}", contender.name(), lacks.join(", "));
        }
    }
    contenders
}

async fn measure(place: &Place, args: &Args, scenario: Scenario, contender: Contender, table: &mut Table) {
    let title = title(args, scenario);
    if let Some(shape) = scenario.shape() {
        add(table, &title, contender, process::measure(place, args, contender, shape).await);
        return;
    }
    match scenario {
        Scenario::Start if matches!(contender, Contender::Official | Contender::Ours) => {
            add(table, &title, contender, start::measure(place, args, contender).await);
        }
        Scenario::History if contender.has_engine() => {
            history::fill(place, args, contender).await;
            let empty = process::measure(place, args, contender, history::SHAPE).await;
            add(table, EMPTY, contender, empty);
            add(table, &title, contender, history::measure(place, args, contender).await);
        }
        Scenario::Last if matches!(contender, Contender::Official | Contender::Ours) => {
            let costs = last::measure(place, args, contender).await;
            table.add((&title, contender, Metric::First), costs.first);
            table.add((&title, contender, Metric::LastButOne), costs.last_but_one);
            table.add((&title, contender, Metric::Last), costs.last);
        }
        _ => {}
    }
}

fn add(table: &mut Table, title: &str, contender: Contender, measured: Measured) {
    eprintln!("{title}: {}: {:.0}/s", contender.name(), measured.rate);
    table.add((title, contender, Metric::Rate), measured.rate);
    table.add((title, contender, Metric::Wal), measured.wal);
    if let Some(cpu) = measured.cpu {
        table.add((title, contender, Metric::Cpu), cpu);
    }
}

const EMPTY: &str = "chains of 5, empty tables";

fn title(args: &Args, scenario: Scenario) -> String {
    match scenario {
        Scenario::Single => "single steps".to_owned(),
        Scenario::Chain => "chains of 5".to_owned(),
        Scenario::Fan => "fans of 1, 20, 1".to_owned(),
        Scenario::Map200 => "maps of 200".to_owned(),
        Scenario::Map2000 => "maps of 2,000".to_owned(),
        Scenario::List200 => "a list, then a map of 200".to_owned(),
        Scenario::List2000 => "a list, then a map of 2,000".to_owned(),
        Scenario::Start => "start_flow".to_owned(),
        Scenario::History => format!("chains of 5, {} finished tasks in the tables", args.history),
        Scenario::Last => format!("completing the {} tasks of one map", args.map),
    }
}

fn report(table: &Table, args: &Args, scenario: Scenario) {
    use Contender::{Official, Ours, OursBatch, RawBatch};
    let title = title(args, scenario);
    let key = |contender, metric| -> Key<'_> { (title.as_str(), contender, metric) };
    let rate = |what, over, under, goal| {
        table.print_ratio(what, key(over, Metric::Rate), key(under, Metric::Rate), Goal::AtLeast(goal));
    };
    let wal = |what, over| {
        table.print_ratio(what, key(over, Metric::Wal), key(Official, Metric::Wal), Goal::AtMost(1.0));
    };
    // Equals the ratio of rates if the processors are the bottleneck, and is disturbed less by other processes.
    let cpu = |what, over| {
        table.print_ratio(what, key(Official, Metric::Cpu), key(over, Metric::Cpu), Goal::None);
    };
    let same_calls = match scenario {
        Scenario::Map200 | Scenario::Map2000 | Scenario::List200 | Scenario::List2000 => 4.0,
        _ => 2.5,
    };
    match scenario {
        Scenario::Start => {
            table.print(&title);
            rate("ours / official", Ours, Official, 3.0);
            cpu("CPU: official / ours", Ours);
            wal("WAL: ours / official", Ours);
        }
        Scenario::History => {
            table.print(EMPTY);
            table.print(&title);
            for contender in [Official, Ours, OursBatch] {
                let what = format!("full / empty tables: {}", contender.name());
                let empty = (EMPTY, contender, Metric::Rate);
                table.print_ratio(&what, key(contender, Metric::Rate), empty, ours(contender, Goal::AtLeast(0.9)));
                let what = format!("CPU, empty / full tables: {}", contender.name());
                let empty = (EMPTY, contender, Metric::Cpu);
                table.print_ratio(&what, empty, key(contender, Metric::Cpu), Goal::None);
            }
        }
        Scenario::Last => {
            table.print(&title);
            for contender in [Official, Ours] {
                for (what, metric) in [("last but one", Metric::LastButOne), ("last", Metric::Last)] {
                    let what = format!("{what} / first: {}", contender.name());
                    let goal = ours(contender, Goal::AtMost(3.0));
                    table.print_ratio(&what, key(contender, metric), key(contender, Metric::First), goal);
                }
            }
        }
        _ => {
            table.print(&title);
            rate("ours, same calls / official", Ours, Official, same_calls);
            rate("ours, batch calls / official", OursBatch, Official, 8.0);
            rate("ours, batch calls / pgmq, batches", OursBatch, RawBatch, 0.4);
            cpu("CPU: official / ours, same calls", Ours);
            cpu("CPU: official / ours, batch calls", OursBatch);
            wal("WAL: ours, same calls / official", Ours);
            wal("WAL: ours, batch calls / official", OursBatch);
        }
    }
}

/// A goal for flowsmith's engine only.
fn ours(contender: Contender, goal: Goal) -> Goal {
    if contender == Contender::Official { Goal::None } else { goal }
}

/// The load average of the machine over one minute.
fn load() -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
