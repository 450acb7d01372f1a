//! Tells when the probe has gone over to the functions of calls, which it does in the background, or that it can't.

use std::time::Instant;

use lanner_alert::Priority;
use lanner_probe::Attachment;

use crate::log::Log;

/// Whether it is under way, and since when.
#[derive(Default)]
pub struct Moving {
    since: Option<Instant>,
}

impl Moving {
    /// Looks at what is attached now.
    pub fn look(&mut self, attachment: &Attachment, log: &Log) {
        if let Some((priority, message)) = self.news(attachment, Instant::now()) {
            log.write(priority, &message);
        }
    }

    fn news(&mut self, attachment: &Attachment, now: Instant) -> Option<(Priority, String)> {
        if attachment.moving_to.is_some() {
            self.since.get_or_insert(now);
            return None;
        }
        let after = now.duration_since(self.since.take()?).as_secs_f64();
        Some(match &attachment.no_fexit {
            None => {
                let points = attachment.points.join(", ");
                (Priority::Informational, format!("Attached to {points}, after {after:.1} s"))
            }
            Some(why) => {
                let why = why.lines().next().unwrap_or_default();
                (Priority::Warning, format!("The ends of calls stay at sys_exit: {why}"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_of_a_move_is_told_once() {
        let (mut moving, begin) = (Moving::default(), Instant::now());
        let mut attachment = Attachment::default();
        let mut news = |attachment: &Attachment, after| {
            moving.news(attachment, begin + Duration::from_millis(after)).map(|(_, message)| message)
        };
        assert_eq!(news(&attachment, 0), None);
        attachment.moving_to = Some(2);
        assert_eq!((news(&attachment, 0), news(&attachment, 1000)), (None, None));
        attachment.moving_to = None;
        attachment.points = vec!["fexit of 2 functions".into()];
        assert_eq!(news(&attachment, 2500).unwrap(), "Attached to fexit of 2 functions, after 2.5 s");
        assert_eq!(news(&attachment, 2600), None);
        attachment.moving_to = Some(3);
        assert_eq!(news(&attachment, 3000), None);
        attachment.moving_to = None;
        attachment.no_fexit = Some("no\nlong log".into());
        assert_eq!(news(&attachment, 4000).unwrap(), "The ends of calls stay at sys_exit: no");
    }
}
