export default {
  render({ model, el }) {
    const explorer = new Explorer(el, JSON.parse(model.get("_data")), {
      heading: "h3",
      inNotebook: true,
      onSelect: (items) => {
        model.set("_chosen", items);
        model.save_changes();
      },
    });
    const follow = () => explorer.choose(model.get("_chosen"), false, false);
    follow();
    model.on("change:_chosen", follow);
    return () => model.off("change:_chosen", follow);
  },
};
