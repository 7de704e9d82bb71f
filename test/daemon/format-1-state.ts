/**
 * State directories of format 1, as commit 0f96b73 wrote them: a machine that made a tailnet and serves its registry,
 * one that joined it by a reusable key, and one that made a shared-secret tailnet. The database of the registry is
 * left out: who serves it fills it again.
 */

export interface StateFixture {
  readonly selfId: string;
  readonly tailnetId: string;
  readonly headNumber: number;
  /** In hexadecimal. */
  readonly headHash: string;
  /** JSON as it is; other files in base64. */
  readonly files: Readonly<Record<string, string>>;
}

export const FORMAT_1_STATES: Readonly<Record<"server" | "member" | "secret", StateFixture>> = {
  server: {
    selfId: "nmgtxpwtyms475ozd",
    tailnetId: "6i42kro5kvwhwpqbm7lotgtbdhmkmg44",
    headNumber: 4,
    headHash: "282c4d5715efc120caf32b1b2290b0398698525907917cf1ecca26e762306c35",
    files: {
      chain:
        "AQAAAAUAAACyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXsAxz35USWlhhKeBQR5Npb3N04E1pLYNvS53nI4R8zIAAAAg1mCcQa1eotuahHIJQO7477dbefXaAK3AumpPbr9CszsBCryZJ9kwA1nsQQh9tui7kqIfavirBZEwW4lfLlwIiThRdlqmrXJl7DjVfCMUXyoOwdDSmmZ6HOH2bRW4ZokPAQAAAJoBAAAAAfI5pUXdVWx7PgFn1umaYRnYphuc8ywHy5zyxUM1JY4rAAABof6jZlBewDHPflRJaWGEp4FBHk2lvc3TgTWktg29LnecjhHzMgAAAAgAAQQKCwwAGAEtqSI1Uibfct93phMrlzIPhIyU7GXGGDjPIzmn+mjEc/RegVNZdBwQEZnpoAYAVpI7QUVIpMOqAD4WzJRV47YJAAABIgMAAAACLi6wfS4FKESVrj830usuoSQoIv6hShf2JXOqE7l+0TcAAAGh/qNmUV7AMc9+VElpYYSngUEeTaW9zdOBNaS2Db0ud5yOEfMyAAAAUF7AMc9+VElpYYSngUEeTaW9zdOBNaS2Db0ud5yOEfMyB5067epVrYTG2zNR1HRudxLNKxOTCInNJ2jhlZuPJg0KCwwBAAVhbHBoYQAAAAAAAi//OqdZuQ+eBRwgP9sV+NIQTlGQpj1uXPPF9WWBinV60iVBdT0yY5KWrG7DHRX6aO0xUXkrHHp2JtVwznfxzgAv/zqnWbkPngUcID/bFfjSEE5RkKY9blzzxfVlgYp1etIlQXU9MmOSlqxuwx0V+mjtMVF5Kxx6dibVcM538c4AAAAA7gIAAAADQTT+w7XosYi3fEmz7I6/g8J62HncLF9FL163x9xxn1YAAAGh/qNmfV7AMc9+VElpYYSngUEeTaW9zdOBNaS2Db0ud5yOEfMyAAAAXM156eg8v6oUz9IW3YvE3wSZVxImwrzxpJEaGs6Gf12GL80muSW14ELjazrYebsGf3K8RlP0GZ9+Mz11No6wYxAAAAAAAAAAAAIAA2FkYQABAAp0YWc6c2VydmVyAfWRE6t9SWQDbGGqF+y2DQcTYkx4mDxwzjmcnL9YSBw9JpOVhgaU1lzbGAZ+XLitmca4G2W+gOkqssmQP49Vcw4AAAEhAwAAAASklrsr7ifs3SA4+FcQpuItJ9xWK//P5Y2l9kXIcLxYNAAAAaH+o2aNzXnp6Dy/qhTP0hbdi8TfBJlXEibCvPGkkRoazoZ/XYYAAABPKIBY5jLpICbOgJ+QU/KN84d/sqREJ4IJDkuHO5W1GDr2k5OMa5BmqgT/RkZ4+qxGV6HJ7fHnPdpAT559OOJKIAoLDAIABGJldGEAAAAAAALL46qKYCIHZ0vnj2x4dNnIOQw6mxUaoVXe1umlpIrW+rbyQ4F7seP1YEYwbWxlwPsq5ftSU1kTaDfHlz6qNEIIsq35gX93pqjKd94SZypqyV0DNXAbJbsGPpMKt9r1lwDeGEnP/IZ5Mi5+5JR0Y55KPqHtjVsuB6M0WfUCc1VkCQ==",
      identity:
        "Aa1av17K/svArK98dsT96b3SmvG//1UwlH9cNfn2FWAfmNsY4WSSBYqfuuxYKR4xg6m2Cf8YOD7jxX7BmXZ34ka4GbHUsuFRwRBYzFKOxMzLfwG4vwl2a61z4tcxvtvfcw==",
      membership:
        "AfI5pUXdVWx7PgFn1umaYRnYphucAAEAAAAA2Pr83B7DWKqvLafIXsDDgSZ0tuyW7+TQtnw7Kw0l/1AAIF85bk1tendBcjMzOUpRSWNOWnpqWmxQeVl2bGFZQVpQAAA=",
      records:
        "AQAAAaH+o2Z3AAAAAgARbm1ndHhwd3R5bXM0NzVvemQAAAEtAQAAAABtWWEueusD8HrVtMr7sY+PKDwvwWR9sazUnQjGX/yjQdXsyIMDoVlUDYw/XqDAvpBi6pCOBPmNAL068p9Xi+2rM+rkXixemgR2dxBH91oplq0v4IjmaGJgd8PYEqhunIC9mILmSctByCPip9Iapx6Z5ED5+7tWrdWMyou9SPin6RG2r6kqTk2VNYiYno0hofxs5jk1IULfxtCGVC/OSP4S2EVCTaVveOArppyxSqUypz1e8u3XbigEyVMq8aX/JWASPBNxPANbsNu3TEg72M0BBRGjaz7HcWvYHwZtChXNe4RPI0NbheY3B9dcE1vWJlKNMQ9AqcPGq1dWwswOdh++j7WIUgSDrIS7xC7jN9Mhb/6a18vZHmF/t0G+Hy6L1CAMdtVN5CO2fQARbmF5c3l6eDR4YTVhcmR6bncAAAEtAQAAAADEF/47KaqCEvIVMjnrg838gLXbh3AZRRwwyemDxeEs7XHdtsZWL0fOrqCi0RDy9PUP54LX3i6TvYJt8nwu3Ftkd+EcK3VN8VLNQLXtw2OluC4W+MM9Fubr6OdSCM6uLTYDgAdvaMrFrXXv5BQOv6+CI9cWZ45LjqPBMCvVPUDXmSDxTPjQc5PkDnJwS8HQc1gnqOM0fzm6mGU2uaLquIZyxWGpEDFnuuLLDkZKujDdeKLlN1OlOiverHxC9/+LDQkv0arVdHyTzzmg5i6sNG62THH9Iabfh2yoPXYKNSsLEReTuRaNse6YM/zLYSUaSKHnhG5j7dJNvwlfmBnChWUaCa+zcXCKE4ogQYcEDAF1CA5bTqfC9zo/pwVBKiRYwBOoMzIjaB+ITQ==",
      "registry-keys":
        "ZU01MlJCUmtIQllOOTBkdUhTLXZZV3Y3SWRwdlJ5cFd3R1NWWmNXejR1cyBfOW5NbXp3QXIzMzlKUUljTlp6alpsUHlZdmxhWUFaUAo=",
      "settings.json":
        '{\n  "name": "alpha",\n  "pool": "10.11.12.0/24",\n  "listen": [\n    "127.0.0.1:17411"\n  ]\n}\n',
      "version.json": '{\n  "format": 1\n}\n',
    },
  },
  member: {
    selfId: "naysyzx4xa5ardznw",
    tailnetId: "6i42kro5kvwhwpqbm7lotgtbdhmkmg44",
    headNumber: 4,
    headHash: "282c4d5715efc120caf32b1b2290b0398698525907917cf1ecca26e762306c35",
    files: {
      chain:
        "AQAAAAUAAACyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXsAxz35USWlhhKeBQR5Npb3N04E1pLYNvS53nI4R8zIAAAAg1mCcQa1eotuahHIJQO7477dbefXaAK3AumpPbr9CszsBCryZJ9kwA1nsQQh9tui7kqIfavirBZEwW4lfLlwIiThRdlqmrXJl7DjVfCMUXyoOwdDSmmZ6HOH2bRW4ZokPAQAAAJoBAAAAAfI5pUXdVWx7PgFn1umaYRnYphuc8ywHy5zyxUM1JY4rAAABof6jZlBewDHPflRJaWGEp4FBHk2lvc3TgTWktg29LnecjhHzMgAAAAgAAQQKCwwAGAEtqSI1Uibfct93phMrlzIPhIyU7GXGGDjPIzmn+mjEc/RegVNZdBwQEZnpoAYAVpI7QUVIpMOqAD4WzJRV47YJAAABIgMAAAACLi6wfS4FKESVrj830usuoSQoIv6hShf2JXOqE7l+0TcAAAGh/qNmUV7AMc9+VElpYYSngUEeTaW9zdOBNaS2Db0ud5yOEfMyAAAAUF7AMc9+VElpYYSngUEeTaW9zdOBNaS2Db0ud5yOEfMyB5067epVrYTG2zNR1HRudxLNKxOTCInNJ2jhlZuPJg0KCwwBAAVhbHBoYQAAAAAAAi//OqdZuQ+eBRwgP9sV+NIQTlGQpj1uXPPF9WWBinV60iVBdT0yY5KWrG7DHRX6aO0xUXkrHHp2JtVwznfxzgAv/zqnWbkPngUcID/bFfjSEE5RkKY9blzzxfVlgYp1etIlQXU9MmOSlqxuwx0V+mjtMVF5Kxx6dibVcM538c4AAAAA7gIAAAADQTT+w7XosYi3fEmz7I6/g8J62HncLF9FL163x9xxn1YAAAGh/qNmfV7AMc9+VElpYYSngUEeTaW9zdOBNaS2Db0ud5yOEfMyAAAAXM156eg8v6oUz9IW3YvE3wSZVxImwrzxpJEaGs6Gf12GL80muSW14ELjazrYebsGf3K8RlP0GZ9+Mz11No6wYxAAAAAAAAAAAAIAA2FkYQABAAp0YWc6c2VydmVyAfWRE6t9SWQDbGGqF+y2DQcTYkx4mDxwzjmcnL9YSBw9JpOVhgaU1lzbGAZ+XLitmca4G2W+gOkqssmQP49Vcw4AAAEhAwAAAASklrsr7ifs3SA4+FcQpuItJ9xWK//P5Y2l9kXIcLxYNAAAAaH+o2aNzXnp6Dy/qhTP0hbdi8TfBJlXEibCvPGkkRoazoZ/XYYAAABPKIBY5jLpICbOgJ+QU/KN84d/sqREJ4IJDkuHO5W1GDr2k5OMa5BmqgT/RkZ4+qxGV6HJ7fHnPdpAT559OOJKIAoLDAIABGJldGEAAAAAAALL46qKYCIHZ0vnj2x4dNnIOQw6mxUaoVXe1umlpIrW+rbyQ4F7seP1YEYwbWxlwPsq5ftSU1kTaDfHlz6qNEIIsq35gX93pqjKd94SZypqyV0DNXAbJbsGPpMKt9r1lwDeGEnP/IZ5Mi5+5JR0Y55KPqHtjVsuB6M0WfUCc1VkCQ==",
      identity:
        "AYD9b2AfgqchtM/tTs2cQJed0v+R5CuiGFPy306dlTqxAEVEvsaT6AiYOqoKGiV2nAvG6NZTFHF10mc4o2D4en7IwAwEoIVichuDH5i7MuL+MJ5ARo/ifKpJfUi/+NGpZw==",
      membership:
        "AfI5pUXdVWx7PgFn1umaYRnYphucAAEAAAAA2Pr83B7DWKqvLafIXsDDgSZ0tuyW7+TQtnw7Kw0l/1AAIF85bk1tendBcjMzOUpRSWNOWnpqWmxQeVl2bGFZQVpQAAA=",
      records:
        "AQAAAaH+o2aaAAAAAgARbmF5c3l6eDR4YTVhcmR6bncAAAEtAQAAAADEF/47KaqCEvIVMjnrg838gLXbh3AZRRwwyemDxeEs7XHdtsZWL0fOrqCi0RDy9PUP54LX3i6TvYJt8nwu3Ftkd+EcK3VN8VLNQLXtw2OluC4W+MM9Fubr6OdSCM6uLTYDgAdvaMrFrXXv5BQOv6+CI9cWZ45LjqPBMCvVPUDXmSDxTPjQc5PkDnJwS8HQc1gnqOM0fzm6mGU2uaLquIZyxWGpEDFnuuLLDkZKujDdeKLlN1OlOiverHxC9/+LDQkv0arVdHyTzzmg5i6sNG62THH9Iabfh2yoPXYKNSsLEReTuRaNse6YM/zLYSUaSKHnhG5j7dJNvwlfmBnChWUaCa+zcXCKE4ogQYcEDAF1CA5bTqfC9zo/pwVBKiRYwBOoMzIjaB+ITQARbm1ndHhwd3R5bXM0NzVvemQAAAEtAQAAAABtWWEueusD8HrVtMr7sY+PKDwvwWR9sazUnQjGX/yjQdXsyIMDoVlUDYw/XqDAvpBi6pCOBPmNAL068p9Xi+2rM+rkXixemgR2dxBH91oplq0v4IjmaGJgd8PYEqhunIC9mILmSctByCPip9Iapx6Z5ED5+7tWrdWMyou9SPin6RG2r6kqTk2VNYiYno0hofxs5jk1IULfxtCGVC/OSP4S2EVCTaVveOArppyxSqUypz1e8u3XbigEyVMq8aX/JWASPBNxPANbsNu3TEg72M0BBRGjaz7HcWvYHwZtChXNe4RPI0NbheY3B9dcE1vWJlKNMQ9AqcPGq1dWwswOdh++j7WIUgSDrIS7xC7jN9Mhb/6a18vZHmF/t0G+Hy6L1CAMdtVN5CO2fQ==",
      "registries.json":
        '[\n  {\n    "urls": [\n      "https://127.0.0.1:17411"\n    ],\n    "token": "_9nMmzwAr339JQIcNZzjZlPyYvlaYAZP",\n    "pin": "pZ5BSedBRUgEgof7C4Pmvs7tW5M0OIJlhY33QgtMCzA"\n  }\n]\n',
      "settings.json": '{\n  "name": "beta",\n  "port": 7412\n}\n',
      "version.json": '{\n  "format": 1\n}\n',
    },
  },
  secret: {
    selfId: "nganhgtmmebty6hgg",
    tailnetId: "nqzacyavqfilbvjvswneowcfpfcxknon",
    headNumber: 2,
    headHash: "3a298730446ac7957ba1649fa90291477e9049bb4169e1635b39615f8c52a7c2",
    files: {
      chain:
        "AQAAAAMAAACyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAjYjBWJ7Eng4Cyk7hG5rsPOeMfp4RNH+PLTcpqG2NPYYAAAAgh+TrUNf/ortUVS5I9pJQE9z+1xIk8m3yjdrvJfSd4zoBluqQz4kT9vMzGOEVXum+V5waae6DNWzRDe9QDfpf0pOqUG8m2FnaTPFlNVUyfHQU9BiTLfHf2FBiwqWDpiwFAwAAAJoBAAAAAWwyAWAVgVCw1TWVmkdYRXlFdTXNda3GRM++rz3ZvbB3AAABof6jaCyNiMFYnsSeDgLKTuEbmuw854x+nhE0f48tNymobY09hgAAAAgAAQQKFAAAGAHw4lFUoA1ax0fEz5YtjnIZOx9K7tfxIX/yCjR1nF/F4DunHq3uWqmkoB6DOoyqdA7FcYNjRemxD8LlOYlLlqgGAAABIgMAAAACPu776vVqbFUGnT5ixTzEPidXsYFTN8ovFjv0WOkXPiQAAAGh/qNoLI2IwViexJ4OAspO4Rua7DznjH6eETR/jy03KahtjT2GAAAAUGJeAL8bxATV62bWgV7/RxelQm0lU/btnvF/5LP3mjqM37BxFbxg0UfunjTXwWpJWvlrqTeScRbhmlmaaNqOYDMKFAABAAVnYW1tYQAAAAAAAqCQu69osvsp5HlDDmkxhqBvA0SZ8JIZF6sUFFidJZ8xQeV7GQZC/d8I6X8jbruywjMFkgNquCGqKZmOX+eWUwLbx6tdX4AGHkmjnwlXBk5auh66RNObPue4WCAS7F7vqK1y67Zgn8iXOv+K2fAOWKmWQixKP3dxk10cdFN9OLkL",
      identity:
        "AamvfdU5aK6Qgp+DfaSSzvPPO4cVxNY75yxiOQ2Ej4odSKy1nkl7B7fM9plGM6iKOO8qt0Nv3flPPhFUSJppqF9AgZ+f1lOfJZbgnUAv5eaUw3jKRz18X8ReHF1+heCLaw==",
      membership:
        "AWwyAWAVgVCw1TWVmkdYRXlFdTXNAAEAAAAAcoCpJTVnhgTkf2EJVIU04kZaUBi/W94PKWpvkIQ4xo8AIHpCN1QzTDNfMmRDYkduTW9LOTIxb0psbmJ2cWpmbTR6AAH6HnLf5BBASm+d+9rE6Zdw4LCkKlRPWJ58wV+bTxtFCA==",
      records:
        "AQAAAaH+o2g4AAAAAQARbmdhbmhndG1tZWJ0eTZoZ2cAAAEtAQAAAABi9dogHpo+dyZ/XE80cF0nA+ZqBbHkOROqu9EuGxyMnr0JREwm6tLj9Me/jkDZbeMLX2GqtPh6BaLGkalxWrSzxg11f6VSjNLFhHlARvssZI/PEPz6Va5x8tY3I37ALangt3z7ooA7YTESXbY+BYIoKmQzO7a7PLY42tKHOmfjSb0QyFAg71fkAQyRCgOpy59Ak0+pkWmKF7EYEhrAQclpdzJK2pz7EKMeP8eRSuUZUrA9hulHIPCae0DgK7YzlQzbZaRL3SWLfSPEMIjpjazNonWRMx4b7uMkp9GzEVvVOe4Bkja5N54B7PUBK26kvXtxARHHHmXnhDJ/2F0d04EY4j9UQDnNweSMM+xVDybb0Rc3RtsANa77BEZD0DYPzeGsAsr/zQE5+Q==",
      "registry-keys":
        "Vzk0WnFJbWpHYVlmSW02S2wyTnVnYWdZTUtNU0RFM3l5SWxiMFdrMVFRbyB6QjdUM0wzXzJkQ2JHbk1vSzkyMW9KbG5idnFqZm00ego=",
      "settings.json":
        '{\n  "name": "gamma",\n  "pool": "10.20.0.0/24",\n  "listen": [\n    "127.0.0.1:17412"\n  ]\n}\n',
      "version.json": '{\n  "format": 1\n}\n',
    },
  },
};
