import { BlockList, isIP } from 'node:net'

/**
 * Addresses by which a call would reach what only this machine or its network can: by the registries of special-purpose addresses of IANA,
 * and two that clouds give their machines' own services among the public ones. The usual place of metadata, 169.254.169.254, is link-local.
 */
const SPECIAL = blockList([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // Those that carry an IPv4 address in them (Teredo, 6to4) could stand for any of the above.
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
])

/** All of IPv6 that is given out for use between networks; what is mapped, translated, private, link-local or multicast lies outside. */
const GLOBAL_IPV6 = blockList(['2000::/3'])

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    list.addSubnet(address, Number(prefix), familyOf(address))
  }
  return list
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

/**
 * Whether a call may be made to an address (without a zone, which stands for a link of this machine): a public one, or one of an allowed
 * network.
 */
export function mayCall(address: string, allowedNetworks: BlockList): boolean {
  const version = isIP(address)
  if (version === 0 || address.includes('%')) return false
  const family = familyOf(address)
  if (allowedNetworks.check(address, family)) return true
  return !SPECIAL.check(address, family) && (version === 4 || GLOBAL_IPV6.check(address, family))
}
