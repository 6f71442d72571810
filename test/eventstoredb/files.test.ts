import { spawn } from 'node:child_process'
import { appendFileSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import eventstore from '@eventstore/db-client'
import { expect, it } from '@jest/globals'
import { startStandIn } from '../support/eventstoredb.ts'
import { until } from '../support/until.ts'
import { appendBy, connect, idsOf, insist, newEvent, outcomeOf } from './client.ts'

const { NO_STREAM } = eventstore

const lastFile = (folder: string): string => join(folder, readdirSync(folder).sort().at(-1) ?? '')
const idsIn = (stored: readonly { readonly stream: string; readonly id: string }[], stream: string): string[] =>
  stored.flatMap((event) => (event.stream === stream ? [event.id] : []))

it('has each acknowledged event in its files, where a reader of its own finds it', async () => {
  const standIn = await startStandIn()
  const client = connect(standIn.url)
  const events = Array.from({ length: 5 }, (_, index) => newEvent({ index }))
  for (const event of events) await appendBy('the older call', client, 'a', event)
  const before = standIn.stored()
  expect(idsIn(before, 'a')).toEqual(events.map(({ id }) => id))
  await standIn.kill('SIGKILL')
  await standIn.restart()
  await insist(() => appendBy('the older call', client, 'a', newEvent()))
  const after = standIn.stored()
  // Each start adds to the log, none changes it, and positions go on.
  expect(after.slice(0, before.length)).toEqual(before)
  expect(idsIn(after, 'a')).toEqual(await idsOf(client, 'a'))
  expect(after.every((event, index) => index === 0 || event.position > (after[index - 1]?.position ?? -1n))).toBe(true)
})

/** What may have become of the last line when a machine lost its power. */
const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  'cut short': (file) => {
    truncateSync(file, readFileSync(file).length - 7)
  },
  'followed by the beginning of another': (file) => {
    appendFileSync(file, '0123abcd {"records":[{"kind"')
  },
  'whole, but with another byte in it': (file) => {
    writeFileSync(file, readFileSync(file, 'utf8').replace('"stream":"torn"', '"stream":"born"'))
  },
}

it.each(Object.entries(DAMAGES))('goes on before a last line that is %s', async (_what, damage) => {
  const standIn = await startStandIn()
  const client = connect(standIn.url)
  const kept = newEvent()
  await appendBy('the older call', client, 'kept', kept)
  await appendBy('the older call', client, 'torn', newEvent())
  await standIn.kill('SIGKILL')
  damage(lastFile(standIn.folder))
  const isTornOff = idsIn(standIn.stored(), 'torn').length === 0
  await standIn.restart()
  await insist(() => idsOf(client, 'kept'))
  expect(await idsOf(client, 'kept')).toEqual([kept.id])
  const repeat = newEvent()
  await insist(() => appendBy('the older call', client, 'torn', repeat, { expected: isTornOff ? NO_STREAM : 0n }))
  expect(idsIn(standIn.stored(), 'torn')).toEqual(await idsOf(client, 'torn'))
  expect(idsIn(standIn.stored(), 'torn').at(-1)).toBe(repeat.id)
})

it('acknowledges nothing any more once another process writes to its folder, and ends with 0', async () => {
  const standIn = await startStandIn()
  const client = connect(standIn.url)
  const acknowledged = newEvent()
  await appendBy('the older call', client, 'a', acknowledged)
  const program = join(import.meta.dirname, 'stand-in/main.ts')
  const other = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, '--port', '0', '--data', standIn.folder])
  try {
    let output = ''
    other.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    await until(() => output.includes('ready'), 'the other process')
    const late = newEvent()
    expect(await outcomeOf(appendBy('the older call', client, 'a', late, { expected: 0n }))).not.toBe('success')
    await until(() => !standIn.alive(), 'the end of the first process')
    // Its line stands in its file, behind where the other's term began: so it does not count.
    expect(readFileSync(join(standIn.folder, readdirSync(standIn.folder).sort().at(-2) ?? ''), 'utf8')).toContain(late.id)
    expect(idsIn(standIn.stored(), 'a')).toEqual([acknowledged.id])
    const port = Number(/:(\d+)$/m.exec(output)?.[1])
    const elsewhere = connect(`esdb://127.0.0.1:${port}?tls=false`)
    await appendBy('the older call', elsewhere, 'a', late, { expected: 0n })
    expect(await idsOf(elsewhere, 'a')).toEqual([acknowledged.id, late.id])
    expect(idsIn(standIn.stored(), 'a')).toEqual([acknowledged.id, late.id])
  } finally {
    const ended = new Promise((resolve) => other.once('exit', resolve))
    other.kill('SIGKILL')
    await ended
  }
})
