/** The bundle of tests that the build makes: the path of its file, inside the executable when compiled. */
declare module "*.bundle" {
  const path: string;
  export default path;
}
