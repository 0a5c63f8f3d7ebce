-- What was asked of the operator's language model, by the day (days since 1970, UTC).

CREATE TABLE language_model_use (
    day BIGINT PRIMARY KEY NOT NULL,
    requests BIGINT NOT NULL,
    tokens BIGINT NOT NULL
);
