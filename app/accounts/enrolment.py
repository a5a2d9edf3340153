"""From what tokens and files say to what the store takes: two conversions, nothing else."""

from msgspec import structs

from app.accounts.claims import identity
from app.accounts.new_account import NewAccount
from app.domain.enrolment import Enrolment, Identity
from app.ports import Tokens


def enrolment(new: NewAccount) -> Enrolment:
    """Return `new` as the store takes it, where an API key is the access token of its kind."""
    enrolled = Enrolment(
        name=new.name,
        kind=new.kind,
        access_token=new.api_key or new.access_token,
        refresh_token=new.refresh_token,
        id_token=new.id_token,
        expires_at=new.expires_at,
        base_url=new.base_url,
        models=new.models,
        model_map=new.model_map,
        organization=new.organization,
        project=new.project,
        chatgpt_account_id=new.chatgpt_account_id,
        chatgpt_user_id=new.chatgpt_user_id,
        email=new.email,
        plan=new.plan,
        fedramp=new.fedramp,
    )
    return structs.replace(enrolled, **new.choices)


def whose(tokens: Tokens) -> Identity | None:
    """Return the account that `tokens` belong to, or None where they do not tell both its ids."""
    told = identity(
        id_token=tokens.id_token.reveal() if tokens.id_token else None,
        access_token=tokens.access_token.reveal() if tokens.access_token else None,
    )
    if told.chatgpt_user_id is None or told.chatgpt_account_id is None:
        return None
    return Identity(
        told.chatgpt_user_id,
        told.chatgpt_account_id,
        email=told.email,
        plan=told.plan,
        fedramp=told.fedramp,
    )
