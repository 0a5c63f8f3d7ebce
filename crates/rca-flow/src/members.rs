//! Members: who belongs to a workspace, and as what.

use rca_store::{ErrorKind as StoreErrorKind, Member};

use crate::{
    access::Holder,
    analyses::one_of,
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    types::{List, MemberRequest, MemberView, RoleRequest, time},
};

const ROLES: [&str; 4] = ["owner", "admin", "member", "viewer"];

impl Flow {
    /// The members, by address.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn list_members(&self, caller: &Caller) -> Result<List<MemberView>> {
        let members = self.store().list_members(&caller.workspace).await?;
        Ok(List { items: members.into_iter().map(view).collect(), next_cursor: None })
    }

    /// Adds a member.
    ///
    /// # Errors
    /// `invalid_field`; `conflict` when the address is a member already.
    pub async fn add_member(&self, caller: &Caller, request: &MemberRequest) -> Result<MemberView> {
        one_of("role", Some(&request.role), &ROLES)?;
        let email = request.email.trim().to_lowercase();
        if !is_address(&email) {
            return Err(FlowError::invalid_field("email", "is no mail address"));
        }
        let member = self.store().add_member(&caller.workspace, &email, &request.role, &caller.name).await;
        member.map(view).map_err(last_owner)
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// `not_found`, `invalid_field`; `last_owner`.
    pub async fn set_member_role(
        &self,
        caller: &Caller,
        id: &str,
        request: &RoleRequest,
    ) -> Result<MemberView> {
        one_of("role", Some(&request.role), &ROLES)?;
        let changed =
            self.store().change_member(&caller.workspace, id, Some(&request.role), &caller.name).await;
        changed.map(view).map_err(last_owner)
    }

    /// Makes sure that `holder` may change this member: only an owner changes or removes an owner.
    ///
    /// # Errors
    /// `role_missing`.
    pub async fn require_may_change(&self, caller: &Caller, holder: &Holder, id: &str) -> Result<()> {
        let members = self.store().list_members(&caller.workspace).await?;
        let is_owner = members.iter().any(|member| member.id == id && member.role == "owner");
        if is_owner { holder.require_owner("change or remove an owner") } else { Ok(()) }
    }

    /// Removes a member.
    ///
    /// # Errors
    /// `not_found`; `last_owner`.
    pub async fn remove_member(&self, caller: &Caller, id: &str) -> Result<()> {
        let removed = self.store().change_member(&caller.workspace, id, None, &caller.name).await;
        removed.map(|_| ()).map_err(last_owner)
    }
}

fn last_owner(error: rca_store::Error) -> FlowError {
    match error.kind() {
        StoreErrorKind::Conflict => FlowError::new(FlowErrorKind::Conflict, "conflict", error.to_string()),
        StoreErrorKind::NotFound => FlowError::not_found("member"),
        _ => error.into(),
    }
}

/// As far as it can be told without sending a mail.
fn is_address(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    let is_plain = |part: &str| {
        !part.is_empty() && part.chars().all(|it| !it.is_whitespace() && !it.is_control() && it != '@')
    };
    text.len() <= 254 && is_plain(name) && is_plain(host) && !host.starts_with('.') && !host.ends_with('.')
}

fn view(member: Member) -> MemberView {
    MemberView { id: member.id, email: member.email, role: member.role, created_at: time(member.created_at) }
}
