-- Browsers that are signed in, and the links that members sign in with. Of both only a hash is stored.

CREATE TABLE session (
    id_hash TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    api_token TEXT REFERENCES api_token (id),
    member TEXT REFERENCES member (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
);
CREATE INDEX session_ends ON session (ends_at);
CREATE INDEX session_member ON session (member);

CREATE TABLE sign_in_link (
    link_hash TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    member TEXT NOT NULL REFERENCES member (id) ON DELETE CASCADE,
    ends_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX sign_in_link_member ON sign_in_link (member);
