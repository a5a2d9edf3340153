import type { ReactNode } from "react";

const SIZE = 18;

export interface IconProps {
  size?: number;
}

function draw(paths: ReactNode, { size = SIZE }: IconProps) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.8}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {paths}
    </svg>
  );
}

export const SunIcon = (props: IconProps) =>
  draw(
    <>
      <circle cx="12" cy="12" r="4" />
      <path d="M12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4" />
    </>,
    props,
  );
export const MoonIcon = (props: IconProps) =>
  draw(<path d="M20 14.5A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.5Z" />, props);
export const OverviewIcon = (props: IconProps) => draw(<path d="M3 13h4l3-8 4 14 3-6h4" />, props);
export const AccountsIcon = (props: IconProps) =>
  draw(
    <>
      <circle cx="9" cy="8" r="3.5" />
      <path d="M2.5 20a6.5 6.5 0 0 1 13 0M16 4.6a3.5 3.5 0 0 1 0 6.8M18.5 14.2A6.5 6.5 0 0 1 21.5 20" />
    </>,
    props,
  );
export const KeysIcon = (props: IconProps) =>
  draw(
    <>
      <circle cx="8" cy="15" r="4.5" />
      <path d="m11.2 11.8 8.8-8.8M17 6l3 3M14 9l2 2" />
    </>,
    props,
  );
export const UsageIcon = (props: IconProps) =>
  draw(<path d="M4 20V10M10 20V4M16 20v-7M22 20H2" />, props);
export const OperationsIcon = (props: IconProps) =>
  draw(
    <>
      <rect x="3" y="4" width="18" height="7" rx="2" />
      <rect x="3" y="13" width="18" height="7" rx="2" />
      <path d="M7 7.5h.01M7 16.5h.01" />
    </>,
    props,
  );
export const ExplainIcon = (props: IconProps) =>
  draw(
    <>
      <circle cx="12" cy="12" r="9" />
      <path d="M9.5 9.2a2.6 2.6 0 0 1 5 .8c0 1.8-2.5 2.2-2.5 3.8M12 17h.01" />
    </>,
    props,
  );
export const SettingsIcon = (props: IconProps) =>
  draw(<path d="M4 7h9M17 7h3M4 17h3M11 17h9M13 4.5v5M7 14.5v5" />, props);
export const ConnectIcon = (props: IconProps) =>
  draw(
    <path d="M9 15l6-6M8 12l-2.2 2.2a3.6 3.6 0 0 0 5 5L13 17M11 7l2.2-2.2a3.6 3.6 0 0 1 5 5L16 12" />,
    props,
  );
export const SignOutIcon = (props: IconProps) =>
  draw(<path d="M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M10 8l-4 4 4 4M6 12h9" />, props);
export const PlusIcon = (props: IconProps) => draw(<path d="M12 5v14M5 12h14" />, props);
export const CopyIcon = (props: IconProps) =>
  draw(
    <>
      <rect x="9" y="9" width="11" height="11" rx="2" />
      <path d="M5 15H4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v1" />
    </>,
    props,
  );
export const CheckIcon = (props: IconProps) => draw(<path d="m5 12.5 4.5 4.5L19 7.5" />, props);
export const SearchIcon = (props: IconProps) =>
  draw(
    <>
      <circle cx="11" cy="11" r="6.5" />
      <path d="m16 16 4.5 4.5" />
    </>,
    props,
  );
export const MoreIcon = (props: IconProps) =>
  draw(<path d="M5 12h.01M12 12h.01M19 12h.01" />, props);
export const RefreshIcon = (props: IconProps) =>
  draw(
    <path d="M20 11a8 8 0 0 0-14.3-4L4 9M4 4v5h5M4 13a8 8 0 0 0 14.3 4L20 15M20 20v-5h-5" />,
    props,
  );
export const PauseIcon = (props: IconProps) => draw(<path d="M8 5v14M16 5v14" />, props);
export const PlayIcon = (props: IconProps) => draw(<path d="M7 5v14l12-7Z" />, props);
export const TrashIcon = (props: IconProps) =>
  draw(<path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5" />, props);
export const AlertIcon = (props: IconProps) =>
  draw(<path d="M12 4 2.8 20h18.4L12 4ZM12 10v4M12 17h.01" />, props);
export const DownloadIcon = (props: IconProps) =>
  draw(<path d="M12 4v11M7 11l5 5 5-5M4 20h16" />, props);
export const MenuIcon = (props: IconProps) => draw(<path d="M4 7h16M4 12h16M4 17h16" />, props);
