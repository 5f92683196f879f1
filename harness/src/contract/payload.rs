use serde_json::Value;
#[derive(Clone)]
pub struct Features {
    pub trace_sections: bool,
    pub failure_reasons: Vec<String>,
}
#[derive(Clone)]
pub struct JobPayload {
    pub id: i64,
    pub features: Features,
}
impl JobPayload {
    pub fn from_value(v: Value) -> Result<Self, String> {
        let _ = v;
        Err(String::new())
    }
}
