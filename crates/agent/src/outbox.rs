//! Lines on their way to the outputs. Handing over costs as much for one as for many, so what a loop tells in a moment
//! goes together.

use std::sync::Arc;

use lanner_alert::{Alert, Form, Formatter, Lines};
use lanner_engine::RuleId;
use lanner_fields::Context;

use crate::program::Program;
use crate::sending::Sending;

/// Lines that go at once.
const TOGETHER: usize = 64;

/// Events that may come before a line goes.
const EVENTS: u32 = 256;

/// The lines of a loop.
pub struct Outbox {
    formatter: Formatter,
    sending: Arc<Sending>,
    lines: Lines,
    /// Events that came since there are any.
    events: u32,
    /// Memory for putting a message together.
    message: Vec<u8>,
}

impl Outbox {
    /// An empty one.
    pub fn new(formatter: Formatter, sending: Arc<Sending>) -> Outbox {
        Outbox { formatter, sending, lines: Lines::default(), events: 0, message: Vec::new() }
    }

    /// Lines have another form from now on.
    pub fn set_formatter(&mut self, formatter: Formatter) {
        self.formatter = formatter;
    }

    /// Tells an alert.
    pub fn put(&mut self, alert: &Alert) {
        self.formatter.append(alert, &mut self.lines);
        self.look();
    }

    /// Tells that a rule matched an event, with what is known now. A text needs no alert to be made for it.
    pub fn tell(&mut self, program: &Program, id: RuleId, cx: &Context<'_>) {
        let Program { engine, announcer, .. } = program;
        if self.formatter.form != Form::Text {
            return self.put(&announcer.alert(engine, id, cx));
        }
        self.message.clear();
        engine.rule(id).output.render_bytes(cx, &mut self.message);
        let lossy;
        let message = match std::str::from_utf8(&self.message) {
            Ok(text) => text,
            Err(_) => {
                lossy = String::from_utf8_lossy(&self.message);
                &lossy
            }
        };
        let (rule, priority) = announcer.name(id);
        self.formatter.append_text((cx.event.ts, message), priority, rule, &mut self.lines);
        self.look();
    }

    fn look(&mut self) {
        if self.lines.len() >= TOGETHER {
            self.flush();
        }
    }

    /// An event came that may have been told.
    pub fn pass(&mut self) {
        if !self.lines.is_empty() {
            self.events += 1;
            if self.events >= EVENTS {
                self.flush();
            }
        }
    }

    /// Hands over what there is.
    pub fn flush(&mut self) {
        self.events = 0;
        if !self.lines.is_empty() {
            self.sending.send_all(std::mem::take(&mut self.lines));
        }
    }
}
