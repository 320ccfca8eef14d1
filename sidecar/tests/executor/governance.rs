//! An executor that runs follows what governance changes.

use std::time::Duration;

use assay_common::ids::Epoch;

use crate::suite::{params, Suite};

#[tokio::test]
async fn longer_prompts_are_answered_from_the_epoch_on_whose_parameters_allow_them() {
    let suite = Suite::new().await;
    let allow = |from: Epoch, max_prompt: u32| {
        let mut params = params();
        params.limits.max_prompt = max_prompt;
        suite.table.lock().unwrap().params.insert(from, params);
    };
    allow(Epoch(0), 5);
    let refused = |refusal: (u16, String)| assert!(refusal.1.contains("6 tokens, the session allows 5"));
    refused(suite.ask(&suite.asked(1, &[2; 6])).await.unwrap_err());
    let clock = params().clock;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    allow(clock.epoch(clock.window(now).unwrap()).next(), 6);
    // An epoch is a second here.
    for _ in 0..100 {
        match suite.ask(&suite.asked(1, &[2; 6])).await {
            Ok(answer) => return assert_eq!(answer.tokens.len(), 3),
            Err(refusal) => refused(refusal),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the new limit was never followed");
}
