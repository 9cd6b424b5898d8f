"""From folders of footage to shards of examples: found, cut, filtered, captioned, encoded, written."""
