//! The stable data model of a report: schema `driver-conformance/report/v1`. Additive changes only.

use serde::{Deserialize, Serialize};
