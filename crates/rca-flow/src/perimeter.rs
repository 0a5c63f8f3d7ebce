//! What people wished for single repositories, over what the perimeter asks for.
//!
//! In the modes `all` and `projects` the perimeter says what is monitored. A repository that somebody takes out or adds by
//! hand stays so until it is chosen again or the perimeter is set anew.

use std::collections::HashMap;

use rca_store::{Integration, Repository, Write};
use serde_json::Value;

use crate::{
    error::Result,
    flow::Flow,
    integrations::perimeter_of,
    jobs::is_under,
    types::{Perimeter, PerimeterMode},
};

/// The wishes of one integration: whether a repository shall be monitored, by our id of it.
pub(crate) type Wishes = HashMap<String, bool>;

/// Whether the repository shall be monitored.
pub(crate) fn is_wanted(perimeter: &Perimeter, wishes: &Wishes, repository: &Repository) -> bool {
    match (perimeter.mode, wishes.get(&repository.id)) {
        (PerimeterMode::Selected, _) => repository.monitored,
        (_, Some(wish)) => *wish,
        _ => is_inside(perimeter, &repository.full_name),
    }
}

/// Whether a repository of that name lies in a perimeter that takes new ones by itself.
pub(crate) fn is_inside(perimeter: &Perimeter, full_name: &str) -> bool {
    perimeter.mode == PerimeterMode::All
        || perimeter.projects.iter().any(|project| is_under(project, full_name))
}

impl Flow {
    pub(crate) async fn wishes(&self, integration: &Integration) -> Result<Wishes> {
        let prefix = prefix(integration);
        let marks = self.store().list_marks(&integration.workspace, &prefix).await?;
        let wish =
            |(name, value): (String, Value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.as_bool()?));
        Ok(marks.into_iter().filter_map(wish).collect())
    }

    /// Remembers what is asked for by hand. Where everything is chosen one by one, the repositories themselves say it.
    pub(crate) async fn wish(
        &self,
        integration: &Integration,
        all: bool,
        add: &[String],
        remove: &[String],
    ) -> Result<()> {
        if perimeter_of(integration).mode == PerimeterMode::Selected {
            return Ok(());
        }
        if all && perimeter_of(integration).mode == PerimeterMode::All {
            let writes = self.forget_wishes(integration).await?;
            return Ok(self.store().write(writes).await?);
        }
        let changes = add.iter().map(|id| (id, true)).chain(remove.iter().map(|id| (id, false)));
        let writes = changes.map(|(id, wish)| mark(integration, id, Value::from(wish))).collect();
        Ok(self.store().write(writes).await?)
    }

    /// From now on the perimeter alone says it.
    pub(crate) async fn forget_wishes(&self, integration: &Integration) -> Result<Vec<Write>> {
        let wishes = self.wishes(integration).await?;
        Ok(wishes.keys().map(|id| mark(integration, id, Value::Null)).collect())
    }
}

fn prefix(integration: &Integration) -> String {
    format!("wish:{}:", integration.id)
}

fn mark(integration: &Integration, repository: &str, value: Value) -> Write {
    Write::SetMark {
        workspace: integration.workspace.clone(),
        name: format!("{}{repository}", prefix(integration)),
        value,
    }
}
