//! The executable as its users meet it: arguments in, lines and exit codes out.

mod falco;
mod help;
mod live;
mod messages;
mod replay;
mod stage;
