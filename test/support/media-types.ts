/** Of the configs that images and artifacts have. The registry takes any, so it names none. */
export const OCI_IMAGE_CONFIG = 'application/vnd.oci.image.config.v1+json'
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json'
export const DOCKER_IMAGE_CONFIG = 'application/vnd.docker.container.image.v1+json'
