CREATE TABLE IF NOT EXISTS stock (item text PRIMARY KEY, pieces integer NOT NULL CHECK (pieces >= 0));
CREATE TABLE IF NOT EXISTS orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item text NOT NULL REFERENCES stock,
    pieces integer NOT NULL CHECK (pieces > 0),
    parcel text,
    fence bigint NOT NULL DEFAULT 0
);
INSERT INTO stock (item, pieces) VALUES ('book', 1000), ('lamp', 3) ON CONFLICT DO NOTHING;
