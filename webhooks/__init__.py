"""The door other systems knock on: verified deliveries in, work out."""
