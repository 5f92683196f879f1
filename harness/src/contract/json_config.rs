#[derive(Clone)]
pub struct ConfigOutput {
    pub job_env: Option<Vec<(String, String)>>,
}
pub fn parse(_: &[u8]) -> Result<Option<ConfigOutput>, String> {
    Ok(None)
}
