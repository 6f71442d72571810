import { isIPv6 } from 'node:net'

/**
 * What one subscriber holds: an IPv4 address, or the /64 of an IPv6 one, in which a host takes any address it likes. Not IPv4's /24: that
 * would join the machines of a private network.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [before = '', after] = address.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  const zeros = after === undefined ? [] : Array<string>(8 - head.length - tail.length).fill('0')
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`
}
