/**
 * A table a lane, bodies as uncompressed text: `jsonb` changes bytes, and compression cost more than it saved.
 * The revision's index serves both "where does the stream stand" and reading it; the position's serves the order over all.
 */
const table = (lane: string) => `
create table if not exists varve_log.${lane} (
  pos bigint primary key,
  stream text collate "C" not null,
  rev bigint not null,
  id uuid not null,
  hash bytea not null,
  body text not null,
  unique (stream, rev)
);
alter table varve_log.${lane} alter column body set storage external;`

/** One request of an append, for one lane. Answers its first position, or null and the stream's revision. */
const appendTo = (lane: string) => `
create or replace function varve_log.append_to_${lane}(
  head bigint, in_stream text, expected bigint, in_ids uuid[], in_hashes bytea[], in_bodies text[],
  out first_pos bigint, out actual bigint) language plpgsql volatile as $$
declare
  matched bigint;
begin
  select rev into actual from varve_log.${lane} where stream = in_stream order by rev desc limit 1;
  actual := coalesce(actual, -1);
  if actual = expected then
    insert into varve_log.${lane} (pos, stream, rev, id, hash, body)
      select head + n, in_stream, expected + n, id, hash, body
      from unnest(in_ids, in_hashes, in_bodies) with ordinality as e (id, hash, body, n);
    first_pos := head + 1;
  else
    -- A repeat finds its ids where the first try put them.
    select count(*), min(l.pos) into matched, first_pos
      from unnest(in_ids) with ordinality as e (id, n)
      join varve_log.${lane} l on l.stream = in_stream and l.rev = expected + e.n and l.id = e.id;
    if matched <> cardinality(in_ids) then first_pos := null; end if;
  end if;
end $$;`

/**
 * The statements that make the log's tables and functions; safe to run at every start.
 *
 * `append` commits what a process gathered, in one call. Its order is the proof that positions are dense and that commit order is
 * position order: the lock comes first, and what is read under it is read by later statements, whose snapshots are taken after
 * the lock was had. That holds under READ COMMITTED only, so it refuses anything else; and since an answer follows it, it refuses
 * to run where its commit would not be durable.
 */
export const schema = `
create schema if not exists varve_log;
${table('state')}
${table('activity')}
${appendTo('state')}
${appendTo('activity')}
create or replace function varve_log.lock_and_head() returns bigint language plpgsql volatile as $$
declare
  state_head bigint;
  activity_head bigint;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'the log is appended to under read committed only';
  end if;
  if current_setting('synchronous_commit') not in ('on', 'remote_apply') then
    raise exception 'the log is appended to with synchronous_commit on only';
  end if;
  perform pg_advisory_xact_lock(7234018);
  select pos into state_head from varve_log.state order by pos desc limit 1;
  select pos into activity_head from varve_log.activity order by pos desc limit 1;
  return greatest(coalesce(state_head, 0), coalesce(activity_head, 0));
end $$;
create or replace function varve_log.append(
  streams text[], activities boolean[], expecteds bigint[], counts int[], ids uuid[], hashes bytea[], bodies text[])
  returns table (first_pos bigint, actual bigint, clock timestamptz) language plpgsql volatile as $$
declare
  head bigint := varve_log.lock_and_head();
  done int := 0;
begin
  for i in 1 .. cardinality(streams) loop
    if activities[i] then
      select a.first_pos, a.actual into first_pos, actual from varve_log.append_to_activity(head, streams[i], expecteds[i],
        ids[done + 1 : done + counts[i]], hashes[done + 1 : done + counts[i]], bodies[done + 1 : done + counts[i]]) a;
    else
      select a.first_pos, a.actual into first_pos, actual from varve_log.append_to_state(head, streams[i], expecteds[i],
        ids[done + 1 : done + counts[i]], hashes[done + 1 : done + counts[i]], bodies[done + 1 : done + counts[i]]) a;
    end if;
    if first_pos = head + 1 then head := head + counts[i]; end if;
    done := done + counts[i];
    clock := clock_timestamp();
    return next;
  end loop;
end $$;
create or replace function varve_log.append_activity(
  in_stream text, expected bigint, in_id uuid, in_hash bytea, in_body text,
  out first_pos bigint, out actual bigint, out clock timestamptz) language plpgsql volatile as $$
declare
  head bigint := varve_log.lock_and_head();
begin
  select rev into actual from varve_log.activity where stream = in_stream order by rev desc limit 1;
  actual := coalesce(actual, -1);
  if actual = expected then
    insert into varve_log.activity (pos, stream, rev, id, hash, body) values (head + 1, in_stream, expected + 1, in_id, in_hash, in_body);
    first_pos := head + 1;
  else
    select pos into first_pos from varve_log.activity where stream = in_stream and rev = expected + 1 and id = in_id;
  end if;
  clock := clock_timestamp();
end $$;
`
