//! The server against a stand-in model that stalls, panics and gives numbers that are none, over real sockets.

mod client;
mod contracts;
mod fake;
mod faults;
mod fuzz;
mod lifecycle;
mod limits;
mod routes;
