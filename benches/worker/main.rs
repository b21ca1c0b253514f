//! What a worker makes of the engine's speed: `cargo bench --bench worker`, `-- --help` for sizes.
//!
//! The rate of tasks whose handlers do nothing, beside connections that only call `poll_tasks` and `complete_tasks` (`bare`), in
//! turns on one server, each in a database of its own that begins empty; then how long it takes from the call of `start_flow` to
//! the handler, where nothing else goes on. Every task is counted. Asserts nothing about time.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its figures are what it is for")]

mod bare;
mod latency;
mod place;
mod throughput;

use clap::Parser;

use place::{Place, Shape};

/// Measures workers beside bare calls of the engine.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// How often each is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Tasks of a measurement, about
    #[arg(long, default_value_t = 6_000)]
    tasks: usize,
    /// Connections that take and complete tasks
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Tasks that one call takes
    #[arg(long, default_value_t = 10)]
    batch: usize,
    /// Runs whose latency is measured
    #[arg(long, default_value_t = 300)]
    latencies: usize,
    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let place = Place::open().await;
        println!(
            "PostgreSQL {}, synchronous_commit off, {} connections, batches of {}, about {} tasks, {} rounds, load {}",
            place.version,
            args.connections,
            args.batch,
            args.tasks,
            args.rounds,
            place::load()
        );
        for shape in Shape::ALL {
            let (mut bare, mut worker) = (Vec::new(), Vec::new());
            for round in 0..args.rounds {
                // Another one first each time.
                for which in [round % 2, (round + 1) % 2] {
                    if which == 0 {
                        bare.push(bare::measure(&place, &args, shape).await);
                    } else {
                        worker.push(throughput::measure(&place, &args, shape).await);
                    }
                }
                eprintln!("{}: round {} of {}", shape.name(), round + 1, args.rounds);
            }
            let (bare, worker) = (median(bare), median(worker));
            println!(
                "{:<16} bare {bare:>6.0}/s  worker {worker:>6.0}/s  {:>4.0} %",
                shape.name(),
                worker / bare * 100.0
            );
        }
        latency::measure(&place, &args).await;
        println!("load of the machine afterwards {}", place::load());
        place.close();
    });
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
